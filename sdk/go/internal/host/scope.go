package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/konstellation-io/krt/sdk/go/internal/document"
	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

// ErrReplied is what an early reply fails with when the client was answered before.
var ErrReplied = errors.New("error the message was replied previously")

var errNoReply = errors.New("[ctx.early_reply] there is nothing to reply with; hint: build a message of the " +
	"`.proto`, or a map where the node has `payload: json`")

// Scope is what user code asks of the engine, on behalf of one delivery or, in init, of none.
type Scope struct {
	host *Host
	own  *Delivery
}

// delivery is the one that code of this scope works for. The scope of init stands for the delivery
// in work where there is one at a time, since user code may keep the context that init was given.
func (s Scope) delivery() *Delivery {
	if s.own != nil {
		return s.own
	}
	return s.host.single.Load()
}

// Log writes a record.
func (s Scope) Log(level frame.Level, text string) {
	s.host.link.log(s.delivery(), level, s.Now(), text)
}

// Now is the time.
func (s Scope) Now() time.Time {
	return s.host.world.Now()
}

// Measure sends the body of a MEASUREMENT.
func (s Scope) Measure(body []byte) error {
	if err := within(body, s.host.mostOther); err != nil {
		return err
	}
	s.host.link.hold(s.delivery(), frame.Measurement, body)
	return nil
}

// Save stores a document.
func (s Scope) Save(collection string, body []byte) error {
	fields := callFields(collection, "document", body)
	if err := within(fields, s.host.most); err != nil {
		return err
	}
	_, err := s.host.call(s.delivery(), frame.Save, fields)
	return err
}

// Find searches documents.
func (s Scope) Find(collection string, query []byte) ([][]byte, error) {
	fields := callFields(collection, "query", query)
	if err := within(fields, s.host.mostOther); err != nil {
		return nil, err
	}
	return s.host.call(s.delivery(), frame.Find, fields)
}

// Reply answers the client now, with what a Handler may give.
func (s Scope) Reply(response any) error {
	delivery := s.delivery()
	if delivery == nil {
		return noRequest("early_reply", nil)
	}
	out, given, err := s.host.form.pack(frame.Begin(nil, frame.EarlyReply, delivery.id), response)
	if err != nil {
		return err
	}
	if !given {
		return errNoReply
	}
	return s.host.link.reply(delivery, frame.End(out, 0))
}

// Exit makes what the handler returns the final answer.
func (s Scope) Exit() error {
	return s.host.link.exit(s.delivery())
}

// Context is cancelled when nobody waits for the delivery any more, and when it is answered.
func (s Scope) Context() context.Context {
	delivery := s.delivery()
	if delivery == nil {
		return context.Background()
	}
	return s.host.contextOf(delivery)
}

// TraceHeaders are the headers with which others go on with the request's trace.
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

func callFields(collection, name string, body []byte) []byte {
	out := append([]byte(`"collection":`), document.Text(collection)...)
	out = append(append(append(out, ',', '"'), name...), '"', ':')
	return append(out, body...)
}
