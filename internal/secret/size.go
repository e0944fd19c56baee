package secret

// infoBytes is the approximate size of an Info without its texts.
const infoBytes = 200

// Size is about how many bytes of memory the info takes.
func (i Info) Size() int {
	size := infoBytes + len(i.Name) + len(i.Description) + len(i.ObjectName) + len(i.UpdatedBy)
	for _, key := range i.Keys {
		size += 16 + len(key)
	}
	return size
}

func sizeOfInfos(infos []Info) (size int) {
	for _, i := range infos {
		size += i.Size()
	}
	return size
}

func sizeOfData(data map[string]Value) (size int) {
	for key, value := range data {
		size += len(key) + len(value)
	}
	return size
}
