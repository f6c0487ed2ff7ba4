// Package worker is the running worker: it reads frames, calls the user's handler and writes frames.
//
// The goroutine that waits for the engine also reads: the one that handles deliveries in turn, or the one
// that waits for a document while a handler runs. So a message costs one read, one write and no switch of
// goroutines. With a concurrency above one, or while a handler watches its context, a separate goroutine
// reads.
package worker

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

// lookAfter is the handler duration after which the worker reads the socket before it starts the next
// delivery, which may have been cancelled.
const lookAfter = 5 * time.Millisecond

// World holds the worker's dependencies beside the connection. They are values, so that a recorded
// conversation can be replayed.
type World struct {
	// Stream is the connection to the engine.
	Stream io.ReadWriter
	// Shared returns another stream for a worker that handles several deliveries at a time: reading from it
	// must let other goroutines run. If it is nil, the worker uses Stream.
	Shared func() (io.ReadWriter, error)
	// Stderr receives output that cannot be sent.
	Stderr io.Writer
	// Now returns the current time.
	Now func() time.Time
	// Exit ends the process and does not return.
	Exit func(status int)
	// PID is the id of the process.
	PID int
}

// Handler handles one delivery. It returns a message or plain data, depending on HELLO's payload, or nil for
// no answer. A panic is an error of the delivery.
type Handler func(scope Scope, delivery *Delivery) (any, error)

// BatchHandler handles the deliveries of a batch. It returns an answer to each, in order.
type BatchHandler func(scope Scope, batch []*Delivery) ([]Answer, error)

// Answer is what a BatchHandler returns for one delivery: a value as from a Handler, or the delivery's own
// error.
type Answer struct {
	Value any
	Err   error
}

// Worker handles the deliveries of the engine.
type Worker struct {
	// Hello is the engine's HELLO.
	Hello frame.Introduction

	world     World
	link      *link
	form      form
	most      int
	mostOther int
	handler   Handler
	batches   BatchHandler
	buffers   sync.Pool
	// single is the delivery in flight, with a concurrency of one.
	single atomic.Pointer[Delivery]

	mu      sync.Mutex
	changed *sync.Cond
	reader  *frame.Reader
	// reading is true while a goroutine reads; no other may.
	reading bool
	// stopping is true once no new deliveries arrive.
	stopping bool
	// gone is true once the engine is gone.
	gone    bool
	inbox   []*Delivery
	working map[uint32]*Delivery
	// begun are the deliveries of a batch whose last one has not arrived.
	begun []*Delivery
	// whole are the batches that have not started.
	whole []*batch
	// busy is the number of batches in flight.
	busy  int
	calls map[uint32]*call
	made  uint32
}

// ErrGone is the error of an engine that left before HELLO.
var ErrGone = errors.New("the engine left before HELLO")

// Meet reads HELLO. The error is ErrGone, a *frame.ProtocolError, or a system error.
func Meet(world World) (*Worker, error) {
	reader := frame.NewReader()
	first, err := readFirst(reader, world.Stream.Read)
	if err != nil {
		return nil, err
	}
	if first.Kind != frame.Hello {
		return nil, frame.Violationf("the first frame has the kind %d, not %d", first.Kind, frame.Hello)
	}
	hello, err := frame.ParseHello(first.Body)
	if err != nil {
		return nil, err
	}
	reader.Limit = hello.MaxFrame
	if hello.Concurrency > 1 && world.Shared != nil {
		if world.Stream, err = world.Shared(); err != nil {
			return nil, err
		}
	}
	worker := &Worker{
		Hello:     hello,
		world:     world,
		form:      formOf(hello),
		most:      int(hello.MaxFrame),
		mostOther: min(int(hello.MaxFrame), frame.MaxOther),
		link: &link{
			out:        world.Stream,
			stderr:     world.Stderr,
			longestLog: min(int(hello.MaxFrame), frame.MaxLog) - (frame.LogHead - frame.HeaderSize + frame.Counted),
		},
		buffers: sync.Pool{New: func() any { return new([]byte) }},
		reader:  reader,
		working: make(map[uint32]*Delivery),
		calls:   make(map[uint32]*call),
	}
	worker.changed = sync.NewCond(&worker.mu)
	return worker, nil
}

func readFirst(reader *frame.Reader, read func([]byte) (int, error)) (frame.Frame, error) {
	for {
		first, whole, err := reader.Next()
		if whole || err != nil {
			return first, err
		}
		if err := reader.FillLeast(read); err != nil {
			return first, ErrGone
		}
	}
}

// turn reads once and acts on the frames, or waits until another goroutine has. The caller holds the lock.
func (h *Worker) turn() {
	if h.reading || h.gone {
		h.changed.Wait()
		return
	}
	h.fill(h.world.Stream.Read)
}

// fill reads with read and acts on the frames. The caller holds the lock.
func (h *Worker) fill(read func([]byte) (int, error)) {
	h.reading = true
	h.mu.Unlock()
	err := h.reader.Fill(read)
	h.mu.Lock()
	h.reading = false
	switch {
	case err == nil:
		err = h.takeAll()
	case errors.Is(err, errNothing):
		err = nil
	default:
		h.leave()
		err = nil
	}
	h.changed.Broadcast()
	if err != nil {
		h.world.ProtocolError(err)
	}
}

func (h *Worker) takeAll() error {
	for {
		from, whole, err := h.reader.Next()
		if err != nil || !whole {
			return err
		}
		if err := h.take(from); err != nil {
			return err
		}
	}
}

func (h *Worker) take(from frame.Frame) error {
	switch from.Kind {
	case frame.Deliver:
		delivery, err := h.open(from)
		if err != nil {
			return err
		}
		if h.Hello.Batch != nil {
			h.gather(delivery, frame.HasMore(from.Body))
		} else {
			h.inbox = append(h.inbox, delivery)
		}
	case frame.Cancel:
		h.cancel(from.ID)
	case frame.Stop:
		h.stopping = true
	case frame.Credit:
		return h.credit(from)
	case frame.Hello:
		return frame.Violationf("a second HELLO came")
	default:
		return h.answer(from)
	}
	return nil
}

// cancel stops a delivery if possible. An id that is not in flight is no violation.
func (h *Worker) cancel(id uint32) {
	if delivery, there := h.working[id]; there {
		first := !delivery.cancelled
		delivery.cancelled = true
		if delivery.cancel != nil {
			delivery.cancel()
		}
		if delivery.batch != nil && first {
			delivery.batch.leave()
		}
		return
	}
	if h.drop(id) {
		h.answerCancelled(id)
		return
	}
	for index, delivery := range h.inbox {
		if delivery.id == id {
			h.inbox = append(h.inbox[:index], h.inbox[index+1:]...)
			h.answerCancelled(id)
			return
		}
	}
}

func (h *Worker) answerCancelled(id uint32) {
	now := h.world.Now().UnixNano()
	h.link.send(frame.End(frame.BeginResult(nil, id, frame.Cancelled, false, now, now), 0))
}

// leave records that the engine is gone, and cancels all work.
func (h *Worker) leave() {
	h.gone, h.stopping = true, true
	h.link.leave()
	h.inbox, h.begun, h.whole = nil, nil, nil
	for id := range h.working {
		h.cancel(id)
	}
	h.abandonCalls()
}

// contextOf returns the context of a delivery. From then on a goroutine reads until the delivery is answered.
func (h *Worker) contextOf(delivery *Delivery) context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	if delivery.context == nil {
		delivery.context, delivery.cancel = context.WithCancel(context.Background())
		if delivery.cancelled || delivery.over {
			delivery.cancel()
		} else {
			go h.pump(func() bool { return delivery.over })
		}
	}
	return delivery.context
}

// pump reads until the condition holds.
func (h *Worker) pump(until func() bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for !until() && !h.gone {
		h.turn()
	}
}
