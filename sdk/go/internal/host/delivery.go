package host

import (
	"bytes"
	"context"
	"encoding/json"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

// Delivery is one message that was given to this host, until its RESULT is written.
type Delivery struct {
	// Data is what the handler is given, in a node with messages.
	Data anypb.Any
	// JSON is what the handler's data is read from, in a node with plain data.
	JSON []byte

	id uint32
	// metadata is JSON, or empty.
	metadata []byte

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

// open makes a delivery of a DELIVER frame.
func (h *Host) open(from frame.Frame) (*Delivery, error) {
	replied, metadata, payload, err := frame.ParseDeliver(from.Body)
	delivery := &Delivery{id: from.ID, open: true, replied: replied}
	if len(metadata) > 0 {
		// The frame's memory is used again.
		delivery.metadata = bytes.Clone(metadata)
	}
	if err == nil {
		err = h.form.open(delivery, payload, from.Owned)
	}
	if err != nil {
		return nil, frame.Breachf("DELIVER %d does not parse: %v", from.ID, err)
	}
	return delivery, nil
}

// traceHeaders reads W3C trace context from the metadata, when it is asked for, which is seldom.
func (d *Delivery) traceHeaders() map[string]string {
	var metadata struct {
		Parent string `json:"traceparent"`
		State  string `json:"tracestate"`
	}
	headers := map[string]string{}
	if d == nil || len(d.metadata) == 0 || json.Unmarshal(d.metadata, &metadata) != nil {
		return headers
	}
	for name, value := range map[string]string{"traceparent": metadata.Parent, "tracestate": metadata.State} {
		if value != "" {
			headers[name] = value
		}
	}
	return headers
}
