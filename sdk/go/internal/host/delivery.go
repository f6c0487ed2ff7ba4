package host

import (
	"context"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

// Delivery is one message that was given to this host, until its RESULT is written.
type Delivery struct {
	// Data is what the handler is given.
	Data anypb.Any

	id uint32

	// These are the link's to guard.
	open      bool
	replied   bool
	earlyExit bool

	// These are the host's to guard.
	cancelled bool
	over      bool
	context   context.Context
	cancel    context.CancelFunc
}

// url keeps the type URL that came last, which is mostly that of the next message, too.
type url struct {
	last string
}

// open makes a delivery of a DELIVER frame.
func (u *url) open(from frame.Frame) (*Delivery, error) {
	replied, payload, err := frame.ParseDeliver(from.Body)
	if err != nil {
		return nil, frame.Breachf("DELIVER %d does not parse: %v", from.ID, err)
	}
	delivery := &Delivery{id: from.ID, open: true, replied: replied}
	if u.parse(payload, from.Owned, &delivery.Data) {
		return delivery, nil
	}
	if err := proto.Unmarshal(payload, &delivery.Data); err != nil {
		return nil, frame.Breachf("DELIVER %d does not parse: %v", from.ID, err)
	}
	return delivery, nil
}

// parse reads an Any of the form that is usual, each field once and in order. The value is copied
// unless nobody else uses the payload.
func (u *url) parse(payload []byte, owned bool, data *anypb.Any) bool {
	kind, value, ok := twoFields(payload)
	if !ok {
		return false
	}
	if string(kind) != u.last {
		u.last = string(kind)
	}
	data.TypeUrl = u.last
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
