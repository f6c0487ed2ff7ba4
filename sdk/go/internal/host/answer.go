package host

import (
	"fmt"
	"reflect"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

const (
	prefix = "type.googleapis.com/"
	// longestBegin is how much of a frame is left for what stands around a message.
	longestBegin = 1024
)

// TooLargeError is a message that is larger than messages may be.
type TooLargeError struct {
	Name  protoreflect.FullName
	Size  int
	Limit int
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the answer, a `%s`, has %d bytes, more than the limit of %d bytes", e.Name, e.Size, e.Limit)
}

// Message takes a message of either API of protobuf; nil is nothing, and so is a nil pointer.
func Message(value any) (proto.Message, error) {
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
			"a protobuf message was expected, not %.80q of type `%T`; hint: build a message of the "+
				"`.proto` and return that", fmt.Sprint(value), value)
	}
	if !message.ProtoReflect().IsValid() {
		return nil, nil
	}
	return message, nil
}

// packer encodes messages as google.protobuf.Any.
type packer struct {
	limit int
}

func newPacker(hello frame.Introduction) packer {
	return packer{limit: min(hello.MaxMessage, int(hello.MaxFrame)-longestBegin)}
}

// appendAny appends a message. An Any goes out as it is, since a node that only passes a message on
// has nothing to wrap.
func (p packer) appendAny(out []byte, message proto.Message) ([]byte, error) {
	size := proto.Size(message)
	name := message.ProtoReflect().Descriptor().FullName()
	if size > p.limit {
		return out, &TooLargeError{Name: name, Size: size, Limit: p.limit}
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

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}
