package worker

import (
	"bytes"
	"context"
	"encoding/json"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

// Delivery is a message that the worker holds until it writes the RESULT.
type Delivery struct {
	// Data is the message, for a node with messages.
	Data anypb.Any
	// JSON is the encoded data, for a node with plain data.
	JSON []byte

	id uint32
	// batch is nil for a node without batches.
	batch *batch
	// metadata is JSON, or empty.
	metadata []byte

	// The link's lock guards these.
	open      bool
	replied   bool
	earlyExit bool

	// The worker's lock guards these.
	cancelled bool
	over      bool
	// outflow is nil unless the answer is a stream.
	outflow *outflow
	context context.Context
	cancel  context.CancelFunc
}

// open makes a delivery from a DELIVER frame.
func (h *Worker) open(from frame.Frame) (*Delivery, error) {
	replied, metadata, payload, err := frame.ParseDeliver(from.Body)
	delivery := &Delivery{id: from.ID, open: true, replied: replied}
	if window := h.Hello.Stream; window != nil && frame.Streams(from.Body) {
		delivery.outflow = &outflow{messages: window.Messages, bytes: window.Bytes}
	}
	if len(metadata) > 0 {
		// The next frame reuses this memory.
		delivery.metadata = bytes.Clone(metadata)
	}
	if err == nil {
		err = h.form.open(delivery, payload, from.Owned)
	}
	if err != nil {
		return nil, frame.Violationf("DELIVER %d does not parse: %v", from.ID, err)
	}
	return delivery, nil
}

// traceHeaders parses the W3C trace context from the metadata on demand, since few handlers use it.
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
