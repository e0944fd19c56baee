package seal

import "encoding/binary"

// Place names where a sealed text belongs, from its parts. Each part is
// preceded by its length, so that no two lists of parts give the same place.
func Place(parts ...string) []byte {
	size := 0
	for _, part := range parts {
		size += len(part) + 2
	}
	place := make([]byte, 0, size)
	for _, part := range parts {
		place = binary.AppendUvarint(place, uint64(len(part)))
		place = append(place, part...)
	}
	return place
}
