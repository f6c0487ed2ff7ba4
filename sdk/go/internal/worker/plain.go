package worker

import (
	"reflect"

	"github.com/konstellation-io/krt/sdk/go/internal/document"
)

// plain is the form of a node with `payload: json`: the engine converts the data to messages.
type plain struct {
	limit int
}

func (plain) open(delivery *Delivery, payload []byte, owned bool) error {
	if !owned {
		payload = append(make([]byte, 0, len(payload)), payload...)
	}
	delivery.JSON = payload
	return nil
}

func (p plain) pack(out []byte, value any) ([]byte, bool, error) {
	if isNil(value) {
		return out, false, nil
	}
	body, err := document.EncodePlain(value)
	if err != nil {
		return out, false, err
	}
	if len(body) > p.limit {
		return out, false, &TooLargeError{What: "JSON", Size: len(body), Limit: p.limit}
	}
	return append(out, body...), true, nil
}

// isNil reports whether a value is nil, including nil maps and pointers.
func isNil(value any) bool {
	switch held := reflect.ValueOf(value); held.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Map, reflect.Pointer, reflect.Slice:
		return held.IsNil()
	default:
		return false
	}
}
