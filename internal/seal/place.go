package seal

import "encoding/binary"

// Place encodes the location that a sealed text belongs to. A length precedes
// each part, so different lists of parts never give the same place.
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
