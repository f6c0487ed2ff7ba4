// Package host is a host at work: frames in, the user's handler, frames out.
//
// Whoever waits for the engine reads: the goroutine that handles deliveries in turn, or the one that
// waits for a document while a handler runs. So a message costs one read and one write, and no
// switch of goroutines. With a concurrency above one, or while a handler watches its context, a
// goroutine of its own reads.
package host

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

// lookAfter is how long a handler may take before the socket is looked at ahead of the next one,
// which may have been cancelled.
const lookAfter = 5 * time.Millisecond

// World is what a host needs beside its conversation with the engine; values, so that a recorded
// conversation can be replayed.
type World struct {
	// Stream is the engine's other end.
	Stream io.ReadWriter
	// Shared gives the stream anew for a host that handles several deliveries at a time: reading it
	// must let other goroutines run. Without it, Stream does.
	Shared func() (io.ReadWriter, error)
	// Stderr takes what cannot be sent.
	Stderr io.Writer
	// Now is the time.
	Now func() time.Time
	// Exit ends the process and does not return.
	Exit func(status int)
	// PID is the process's number.
	PID int
}

// Handler handles one delivery. What it gives is a message or plain data, as HELLO's payload says; nil is
// nothing. A panic is an error of the delivery.
type Handler func(scope Scope, delivery *Delivery) (any, error)

// Host handles what the engine delivers.
type Host struct {
	// Hello is what the engine said first.
	Hello frame.Introduction

	world     World
	link      *link
	form      form
	most      int
	mostOther int
	handler   Handler
	buffers   sync.Pool
	// single is the delivery in work where there is one at a time.
	single atomic.Pointer[Delivery]

	mu      sync.Mutex
	changed *sync.Cond
	reader  *frame.Reader
	// reading says that some goroutine reads, and nobody else may.
	reading bool
	// stopping says that nothing new comes.
	stopping bool
	// gone says that the engine is.
	gone    bool
	inbox   []*Delivery
	working map[uint32]*Delivery
	calls   map[uint32]*call
	made    uint32
}

// ErrGone says that the engine left before it said anything.
var ErrGone = errors.New("the engine left before HELLO")

// Meet reads HELLO. The error is ErrGone, a *frame.Breach, or one of the system.
func Meet(world World) (*Host, error) {
	reader := frame.NewReader()
	first, err := readFirst(reader, world.Stream.Read)
	if err != nil {
		return nil, err
	}
	if first.Kind != frame.Hello {
		return nil, frame.Breachf("the first frame has the kind %d, not %d", first.Kind, frame.Hello)
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
	host := &Host{
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
	host.changed = sync.NewCond(&host.mu)
	return host, nil
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

// turn reads once and acts on what has come, or waits until somebody else has. The lock is held.
func (h *Host) turn() {
	if h.reading || h.gone {
		h.changed.Wait()
		return
	}
	h.fill(h.world.Stream.Read)
}

// fill reads in the way that is given, and acts on what has come. The lock is held.
func (h *Host) fill(read func([]byte) (int, error)) {
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
		h.world.Breach(err)
	}
}

func (h *Host) takeAll() error {
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

func (h *Host) take(from frame.Frame) error {
	switch from.Kind {
	case frame.Deliver:
		delivery, err := h.open(from)
		if err != nil {
			return err
		}
		h.inbox = append(h.inbox, delivery)
	case frame.Cancel:
		h.cancel(from.ID)
	case frame.Stop:
		h.stopping = true
	case frame.Hello:
		return frame.Breachf("a second HELLO came")
	default:
		return h.answer(from)
	}
	return nil
}

// cancel stops a delivery if that is possible. An id that is not in work is no breach.
func (h *Host) cancel(id uint32) {
	if delivery, there := h.working[id]; there {
		delivery.cancelled = true
		if delivery.cancel != nil {
			delivery.cancel()
		}
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

func (h *Host) answerCancelled(id uint32) {
	now := h.world.Now().UnixNano()
	h.link.send(frame.End(frame.BeginResult(nil, id, frame.Cancelled, false, now, now), 0))
}

// leave notes that the engine is gone: nobody waits for anything.
func (h *Host) leave() {
	h.gone, h.stopping = true, true
	h.link.leave()
	h.inbox = nil
	for id := range h.working {
		h.cancel(id)
	}
	h.abandonCalls()
}

// contextOf makes the context of a delivery. From then on a goroutine reads until it is answered.
func (h *Host) contextOf(delivery *Delivery) context.Context {
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

// pump reads until something is so.
func (h *Host) pump(until func() bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for !until() && !h.gone {
		h.turn()
	}
}
