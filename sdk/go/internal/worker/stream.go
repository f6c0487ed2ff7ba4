package worker

import (
	"context"
	"errors"

	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

var (
	errOneAnswer = errors.New("[ctx.send] the RPC has one answer; hint: write `returns (stream …)` in the .proto to " +
		"answer with several messages")
	errNoMessage = errors.New("[ctx.send] there is nothing to send; hint: build a message of the `.proto`, or a map " +
		"where the node has `payload: json`")
)

// outflow is how much more of an answer may go out before the client has taken something.
type outflow struct {
	messages int64
	bytes    int64
}

// Send sends a message of an answer that is a stream, with any value that a Handler may return. It waits while the
// client is slow, and fails with context.Canceled once the request is cancelled.
func (s Scope) Send(message any) error {
	if s.batch != nil {
		return ofItems("send", "Send")
	}
	delivery := s.delivery()
	if delivery == nil {
		return noRequest("send", nil)
	}
	if delivery.outflow == nil {
		return errOneAnswer
	}
	out, given, err := s.worker.form.pack(frame.Begin(nil, frame.Message, delivery.id), message)
	if err != nil {
		return err
	}
	if !given {
		return errNoMessage
	}
	if s.worker.link.hasReply(delivery) {
		// The client has its answer; what the workflow still makes is dropped.
		return nil
	}
	if err := s.worker.waitForCredit(delivery, int64(len(out)-frame.HeaderSize)); err != nil {
		return err
	}
	return s.worker.link.message(delivery, frame.End(out, 0))
}

// waitForCredit waits until a message of so many bytes may go out, and counts it.
func (h *Worker) waitForCredit(delivery *Delivery, size int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	left := delivery.outflow
	for !delivery.cancelled && !delivery.over && (left.messages <= 0 || left.bytes <= 0) {
		h.turn()
	}
	if delivery.cancelled {
		return context.Canceled
	}
	left.messages--
	left.bytes -= size
	return nil
}

// credit notes what the client has taken. The caller holds the lock.
func (h *Worker) credit(from frame.Frame) error {
	messages, size, err := frame.ParseCredit(from.Body)
	if err != nil {
		return err
	}
	// The RESULT of a delivery and its credit may have crossed.
	if delivery, there := h.working[from.ID]; there && delivery.outflow != nil {
		delivery.outflow.messages += int64(messages)
		delivery.outflow.bytes += int64(size)
	}
	return nil
}

// hasReply returns whether the client of a delivery already has its answer.
func (l *link) hasReply(delivery *Delivery) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return delivery.replied
}

// message writes a message of an answer, unless the handler has returned.
func (l *link) message(delivery *Delivery, data []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !delivery.open {
		return noRequest("send", delivery)
	}
	l.write(data)
	return nil
}
