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
	// request is the id of the request.
	request string
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
	body, err := frame.ParseDeliver(from.Body)
	delivery := &Delivery{id: from.ID, open: true, replied: body.Replied, request: string(body.Request)}
	if window := h.Hello.Stream; window != nil && frame.Streams(from.Body) {
		delivery.outflow = &outflow{messages: window.Messages, bytes: window.Bytes}
	}
	if len(body.Metadata) > 0 {
		// The next frame reuses this memory.
		delivery.metadata = bytes.Clone(body.Metadata)
	}
	if err == nil {
		err = h.form.open(delivery, body.Payload, from.Owned)
	}
	if err != nil {
		return nil, frame.Violationf("DELIVER %d does not parse: %v", from.ID, err)
	}
	return delivery, nil
}

// requestID returns the id of the request; "" without a delivery.
func (d *Delivery) requestID() string {
	if d == nil {
		return ""
	}
	return d.request
}

// metadata is the metadata of a delivery.
type metadata struct {
	Parent string `json:"traceparent"`
	State  string `json:"tracestate"`
	// Deadline is in nanoseconds since the Unix epoch, or nil.
	Deadline *int64 `json:"deadline"`
	// Client has what the client sent beside its message.
	Client map[string][]string `json:"client"`
}

// parseMetadata parses the metadata on demand, since few handlers use them.
func (d *Delivery) parseMetadata() (parsed metadata) {
	if d == nil || len(d.metadata) == 0 || json.Unmarshal(d.metadata, &parsed) != nil {
		return metadata{}
	}
	return parsed
}

// traceHeaders returns the W3C trace context.
func (d *Delivery) traceHeaders() map[string]string {
	headers, metadata := map[string]string{}, d.parseMetadata()
	for name, value := range map[string]string{"traceparent": metadata.Parent, "tracestate": metadata.State} {
		if value != "" {
			headers[name] = value
		}
	}
	return headers
}
