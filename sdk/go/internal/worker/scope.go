package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/konstellation-io/krt/sdk/go/internal/document"
	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

// ErrReplied is the error of an early reply to a client that already has an answer.
var ErrReplied = errors.New("error the message was replied previously")

var errNoReply = errors.New("[ctx.early_reply] there is nothing to reply with; hint: build a message of the " +
	"`.proto`, or a map where the node has `payload: json`")

// Scope is user code's access to the engine, for one delivery or, in init, for none.
type Scope struct {
	worker *Worker
	own    *Delivery
	// batch is the batch of a scope that belongs to all its deliveries.
	batch *batch
}

// Scope returns a scope for code outside of a handler.
func (h *Worker) Scope() Scope {
	return Scope{worker: h}
}

// delivery returns the delivery of the running code. With one delivery at a time, the scope of init stands
// for the one in flight, since user code may keep the context of init.
func (s Scope) delivery() *Delivery {
	if s.own != nil || s.batch != nil {
		return s.own
	}
	return s.worker.single.Load()
}

// Log sends a record.
func (s Scope) Log(level frame.Level, text string) {
	s.worker.link.log(s.delivery(), level, s.Now(), text)
}

// Now returns the current time.
func (s Scope) Now() time.Time {
	return s.worker.world.Now()
}

// Measure sends the body of a MEASUREMENT.
func (s Scope) Measure(body []byte) error {
	if err := within(body, s.worker.mostOther); err != nil {
		return err
	}
	s.worker.link.hold(s.delivery(), frame.Measurement, body)
	return nil
}

// Save stores a document.
func (s Scope) Save(collection string, body []byte) error {
	fields := callFields(collection, "document", body)
	if err := within(fields, s.worker.most); err != nil {
		return err
	}
	_, err := s.worker.call(s.delivery(), frame.Save, fields)
	return err
}

// Find searches documents.
func (s Scope) Find(collection string, query []byte) ([][]byte, error) {
	fields := callFields(collection, "query", query)
	if err := within(fields, s.worker.mostOther); err != nil {
		return nil, err
	}
	return s.worker.call(s.delivery(), frame.Find, fields)
}

// Reply answers the client now, with any value that a Handler may return.
func (s Scope) Reply(response any) error {
	delivery := s.delivery()
	if s.batch != nil {
		return ofItems("early_reply", "EarlyReply")
	}
	if delivery == nil {
		return noRequest("early_reply", nil)
	}
	out, given, err := s.worker.form.pack(frame.Begin(nil, frame.EarlyReply, delivery.id), response)
	if err != nil {
		return err
	}
	if !given {
		return errNoReply
	}
	return s.worker.link.reply(delivery, frame.End(out, 0))
}

// Exit makes the return value of the handler the final answer.
func (s Scope) Exit() error {
	if s.batch != nil {
		return ofItems("early_exit", "SetEarlyExit")
	}
	return s.worker.link.exit(s.delivery())
}

// Context is cancelled when the client gives up on the delivery, and when the delivery is answered. That of a
// batch is cancelled with its last delivery.
func (s Scope) Context() context.Context {
	if s.batch != nil {
		return s.worker.contextOfBatch(s.batch)
	}
	delivery := s.delivery()
	if delivery == nil {
		return context.Background()
	}
	return s.worker.contextOf(delivery)
}

// RequestID returns the id of the delivery's request.
func (s Scope) RequestID() string {
	return s.delivery().requestID()
}

// Deadline returns the time left until the client of the delivery stops waiting, and whether one waits.
func (s Scope) Deadline() (time.Duration, bool) {
	delivery := s.delivery()
	deadline := delivery.parseMetadata().Deadline
	if deadline == nil || s.worker.link.replied(delivery) {
		return 0, false
	}
	left := time.Unix(0, *deadline).Sub(s.Now())
	if left < 0 {
		left = 0
	}
	return left, true
}

// Metadata returns what the client sent beside its message: texts, and bytes as base64.
func (s Scope) Metadata() map[string][]string {
	return s.delivery().parseMetadata().Client
}

// TraceHeaders returns the headers that continue the request's trace in other services.
func (s Scope) TraceHeaders() map[string]string {
	return s.delivery().traceHeaders()
}

func noRequest(method string, delivery *Delivery) error {
	reason := "in `init`"
	if delivery != nil {
		reason = "after the handler has returned"
	}
	return fmt.Errorf("[ctx.%s] there is no request %s; hint: call it in `handler`", method, reason)
}

// ofItems is the error of a batch's own context for what belongs to one request.
func ofItems(name, method string) error {
	return fmt.Errorf("[ctx.%s] a batch has several requests; hint: call it on the context of one, such as "+
		"`ctx.Items[0].%s`", name, method)
}

// Of returns the scope of one delivery of a batch.
func (s Scope) Of(delivery *Delivery) Scope {
	return Scope{worker: s.worker, own: delivery}
}

func callFields(collection, name string, body []byte) []byte {
	out := append([]byte(`"collection":`), document.Text(collection)...)
	out = append(append(append(out, ',', '"'), name...), '"', ':')
	return append(out, body...)
}
