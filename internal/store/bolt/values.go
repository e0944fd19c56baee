package bolt

import (
	"encoding/binary"
	"fmt"

	"github.com/strongroom/strongroom/internal/seal"
	"github.com/strongroom/strongroom/internal/secret"
	"github.com/strongroom/strongroom/internal/state"
)

// valuesPlace derives the place from the key of the values: record and version.
func (s *Store) valuesPlace(owner secret.Owner, key []byte) []byte {
	return seal.Place("values", s.file.ID(), s.name, owner.Kind, owner.ID, string(key))
}

func (s *Store) putValues(tx *state.Tx, r record, data map[string]secret.Value) error {
	text := encode(data)
	defer clear(text)
	past, key := tx.Bucket(s.past), versionKey(r.id, r.valuesAt)
	return past.Put(key, s.ring.Seal(text, s.valuesPlace(r.info.Owner, key)))
}

func (s *Store) openValues(tx *state.Tx, r record) (map[string]secret.Value, error) {
	past, key := tx.Bucket(s.past), versionKey(r.id, r.valuesAt)
	text, err := s.ring.Open(past.Get(key), s.valuesPlace(r.info.Owner, key))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	defer clear(text)
	return decode(text)
}

// merged returns the values of the record after the change. It opens the stored values
// only if the change keeps some of them.
func (s *Store) merged(tx *state.Tx, r record, change secret.Change) (map[string]secret.Value, error) {
	if len(change.Keep) == 0 {
		return change.Set, nil
	}
	stored, err := s.openValues(tx, r)
	if err != nil {
		return nil, err
	}
	data, size := map[string]secret.Value{}, 0
	for key, value := range change.Set {
		data[key] = value
	}
	for _, key := range change.Keep {
		value, ok := stored[key]
		if !ok {
			return nil, &secret.InvalidError{Field: "data", DataKey: key, Reason: "has no stored value to keep"}
		}
		data[key] = value
	}
	for _, value := range data {
		size += len(value)
	}
	return data, secret.CheckSize(size, len(data))
}

// encode writes the values as a list of key, value, key, value…, each preceded by its
// length as a uvarint.
func encode(data map[string]secret.Value) []byte {
	size := 0
	for key, value := range data {
		size += len(key) + len(value) + 2*binary.MaxVarintLen32
	}
	text := make([]byte, 0, size)
	for _, key := range keysOf(data) {
		text = binary.AppendUvarint(text, uint64(len(key)))
		text = append(text, key...)
		text = binary.AppendUvarint(text, uint64(len(data[key])))
		text = append(text, string(data[key])...)
	}
	return text
}

func decode(text []byte) (map[string]secret.Value, error) {
	data := map[string]secret.Value{}
	for len(text) > 0 {
		var key, value string
		var ok1, ok2 bool
		key, text, ok1 = cutString(text)
		value, text, ok2 = cutString(text)
		if !ok1 || !ok2 {
			return nil, errDamaged
		}
		data[key] = secret.Value(value)
	}
	return data, nil
}

func cutString(text []byte) (s string, rest []byte, ok bool) {
	n, read := binary.Uvarint(text)
	if read <= 0 || n > uint64(len(text)-read) { // #nosec G115 -- read is at most len(text)
		return "", nil, false
	}
	rest = text[read:]
	return string(rest[:n]), rest[n:], true
}
