package worker

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

// callOverhead is the part of size outside the fields of a SAVE, a FIND or a MEASUREMENT.
const callOverhead = frame.Counted + len(`{"delivery":4294967295,}`)

var errGone = errors.New("the engine is gone")

// call is a SAVE or a FIND that waits for its reply.
type call struct {
	documents [][]byte
	err       error
	done      bool
}

// call makes a call; its JSON holds the delivery and then fields.
func (h *Worker) call(of *Delivery, kind frame.Kind, fields []byte) ([][]byte, error) {
	waiting := &call{}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gone {
		return nil, errGone
	}
	h.made++
	if h.made == 0 {
		h.made = 1
	}
	number := h.made
	h.calls[number] = waiting
	h.mu.Unlock()
	h.link.call(of, kind, number, fields)
	h.mu.Lock()
	for !waiting.done {
		h.turn()
	}
	return waiting.documents, waiting.err
}

// call writes a SAVE or a FIND.
func (l *link) call(of *Delivery, kind frame.Kind, number uint32, fields []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := frame.Begin(make([]byte, 0, frame.HeaderSize+callOverhead+len(fields)), kind, number)
	out = append(out, `{"delivery":`...)
	out = strconv.AppendUint(out, uint64(of.number()), 10)
	out = append(append(append(out, ','), fields...), '}')
	l.write(frame.End(out, 0))
}

// answer processes the reply to a call. The caller holds the worker's lock.
func (h *Worker) answer(from frame.Frame) error {
	waiting, there := h.calls[from.ID]
	if !there {
		return frame.Violationf("no call %d waits for an answer", from.ID)
	}
	if from.Kind == frame.Document {
		document := from.Body
		if !from.Owned {
			document = append([]byte(nil), document...)
		}
		waiting.documents = append(waiting.documents, document)
		return nil
	}
	delete(h.calls, from.ID)
	waiting.done = true
	if from.Kind == frame.Failed {
		waiting.documents, waiting.err = nil, errors.New(string(from.Body))
	}
	return nil
}

// abandonCalls ends all calls because the engine is gone. The caller holds the worker's lock.
func (h *Worker) abandonCalls() {
	for number, waiting := range h.calls {
		delete(h.calls, number)
		waiting.done, waiting.documents, waiting.err = true, nil, errGone
	}
}

// within checks a body against a limit.
func within(body []byte, most int) error {
	if room := most - callOverhead; len(body) > room {
		return fmt.Errorf("it has %d bytes, more than the limit of %d bytes", len(body), room)
	}
	return nil
}
