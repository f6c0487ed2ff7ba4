package worker

import (
	"fmt"
	"reflect"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/anypb"
)

const prefix = "type.googleapis.com/"

// messages is the form of google.protobuf.Any.
type messages struct {
	limit int
	// lastURL is the latest type URL, which the next message usually shares.
	lastURL string
}

func (m *messages) open(delivery *Delivery, payload []byte, owned bool) error {
	if m.parse(payload, owned, &delivery.Data) {
		return nil
	}
	return proto.Unmarshal(payload, &delivery.Data)
}

func (m *messages) pack(out []byte, value any) ([]byte, bool, error) {
	message, err := messageOf(value)
	if message == nil || err != nil {
		return out, false, err
	}
	out, err = m.appendAny(out, message)
	return out, true, err
}

// parse reads an Any in the usual form: each field once and in order. It copies the value unless owned.
func (m *messages) parse(payload []byte, owned bool, data *anypb.Any) bool {
	kind, value, ok := twoFields(payload)
	if !ok {
		return false
	}
	if string(kind) != m.lastURL {
		m.lastURL = string(kind)
	}
	data.TypeUrl = m.lastURL
	if !owned {
		value = append(make([]byte, 0, len(value)), value...)
	}
	data.Value = value
	return true
}

func twoFields(payload []byte) (kind, value []byte, ok bool) {
	const first, second = 1<<3 | byte(protowire.BytesType), 2<<3 | byte(protowire.BytesType)
	if len(payload) == 0 || payload[0] != first {
		return nil, nil, false
	}
	kind, count := protowire.ConsumeBytes(payload[1:])
	if count < 0 {
		return nil, nil, false
	}
	payload = payload[1+count:]
	if len(payload) == 0 {
		return kind, nil, true
	}
	if payload[0] != second {
		return nil, nil, false
	}
	value, count = protowire.ConsumeBytes(payload[1:])
	return kind, value, count == len(payload)-1
}

// messageOf accepts a message of either protobuf API; nil and a nil pointer stand for no message.
func messageOf(value any) (proto.Message, error) {
	var message proto.Message
	switch value := value.(type) {
	case nil:
		return nil, nil
	case proto.Message:
		message = value
	case protoadapt.MessageV1:
		if pointer := reflect.ValueOf(value); pointer.Kind() == reflect.Pointer && pointer.IsNil() {
			return nil, nil
		}
		message = protoadapt.MessageV2Of(value)
	default:
		return nil, fmt.Errorf(
			"a protobuf message was expected, not %.80q of type `%T`; hint: %s", fmt.Sprint(value), value, hint(value))
	}
	if !message.ProtoReflect().IsValid() {
		return nil, nil
	}
	return message, nil
}

// hint advises what to return instead of a value that is not a message.
func hint(value any) string {
	if reflect.TypeOf(value).Kind() == reflect.Map {
		return "give the node `payload: json` in krt.yml to work with plain data"
	}
	return "build a message of the `.proto` and return that"
}

// appendAny appends a message. An Any passes through unchanged, since a node that only forwards a message has
// nothing to wrap.
func (m *messages) appendAny(out []byte, message proto.Message) ([]byte, error) {
	size := proto.Size(message)
	name := message.ProtoReflect().Descriptor().FullName()
	if size > m.limit {
		return out, &TooLargeError{What: fmt.Sprintf("a `%s`", name), Size: size, Limit: m.limit}
	}
	if _, is := message.(*anypb.Any); !is {
		out = protowire.AppendTag(out, 1, protowire.BytesType)
		out = protowire.AppendVarint(out, uint64(len(prefix)+len(name)))
		out = append(append(out, prefix...), name...)
		out = protowire.AppendTag(out, 2, protowire.BytesType)
		out = protowire.AppendVarint(out, uint64(size))
	}
	start := len(out)
	out, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(out, message)
	if err == nil && len(out)-start != size {
		err = fmt.Errorf("a `%s` was changed while it was encoded; hint: give away a copy", name)
	}
	return out, err
}
