package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

// Version is the SDK's.
const Version = "0.1.0"

// The statuses of a host that does not end as usual.
const (
	// CannotStart is for init that failed.
	CannotStart = 1
	// Usage is for a process that no engine has started.
	Usage = 64
	// broken is for an engine that did not keep to the protocol.
	broken = 70
)

var (
	errGoexit = errors.New("user code ended its goroutine (runtime.Goexit)")
	// errNothing is what a peeker says when nothing has come.
	errNothing = syscall.EAGAIN
)

// peeker reads what has come, without waiting; syscall.EAGAIN says that nothing has.
type peeker interface {
	ReadNow([]byte) (int, error)
}

// Breach ends the process because of the engine, after saying why.
func (w World) Breach(what error) {
	_, _ = fmt.Fprintf(w.Stderr, "krt: the engine broke the node protocol: %v\n", what)
	w.Exit(broken)
}

// Serve runs init, and then the handler for each delivery until the engine says to stop.
func (h *Host) Serve(init func(Scope), handler Handler) {
	h.handler = handler
	if !h.initialise(init) {
		return
	}
	h.introduce()
	if h.Hello.Concurrency > 1 {
		h.serveAtOnce()
	} else {
		h.serveInTurn()
	}
	h.link.flush()
}

// Break says why this node cannot start, and ends.
func (h *Host) Break(why string) {
	h.link.send(frame.Append(nil, frame.Broken, 0, []byte(fit(why, frame.MaxLog))))
	h.world.Exit(CannotStart)
}

// initialise runs init; whether deliveries may come.
func (h *Host) initialise(init func(Scope)) bool {
	if init == nil {
		return true
	}
	ended := false
	go h.watchStart(&ended)
	defer func() {
		if !ended {
			h.Break(describe(recover()))
		}
	}()
	init(Scope{host: h})
	h.mu.Lock()
	defer h.mu.Unlock()
	ended = true
	return !h.stopping
}

// watchStart reads while init runs, and ends the process when nobody waits for it any more.
func (h *Host) watchStart(ended *bool) {
	h.pump(func() bool { return *ended || h.stopping })
	h.mu.Lock()
	gaveUp := !*ended && h.stopping
	h.mu.Unlock()
	if gaveUp {
		h.world.Exit(0)
	}
}

func (h *Host) introduce() {
	body, err := json.Marshal(map[string]any{
		"protocol": frame.Protocol,
		"sdk":      "krt-go " + Version,
		"language": "Go " + strings.TrimPrefix(runtime.Version(), "go"),
		"pid":      h.world.PID,
	})
	if err != nil {
		panic(err) // texts and numbers are JSON
	}
	h.link.send(frame.Append(nil, frame.Ready, 0, body))
}

func (h *Host) serveInTurn() {
	for {
		delivery := h.next(h.turn)
		if delivery == nil {
			return
		}
		h.single.Store(delivery)
		took := h.handle(delivery)
		h.single.Store(nil)
		if took > lookAfter {
			h.look()
		}
	}
}

// serveAtOnce gives each delivery a goroutine of its own. One more reads all the time, since a
// goroutine that waits in a read for long would keep others from running.
func (h *Host) serveAtOnce() {
	go h.pump(func() bool { return false })
	for {
		delivery := h.next(h.changed.Wait)
		if delivery == nil {
			break
		}
		go h.handle(delivery)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.working) > 0 {
		h.changed.Wait()
	}
}

// next waits, in the way that is given, for a delivery that may begin; nil is the end.
func (h *Host) next(wait func()) *Delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		if len(h.inbox) > 0 && len(h.working) < h.Hello.Concurrency {
			delivery := h.inbox[0]
			last := copy(h.inbox, h.inbox[1:])
			h.inbox[last] = nil
			h.inbox = h.inbox[:last]
			h.working[delivery.id] = delivery
			return delivery
		}
		if len(h.inbox) == 0 && h.stopping {
			return nil
		}
		wait()
	}
}

// look reads what has come, without waiting.
func (h *Host) look() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if peek, can := h.world.Stream.(peeker); can && !h.reading && !h.gone {
		h.fill(peek.ReadNow)
	}
}

// handle handles one delivery, writes its RESULT, and returns how long the handler took.
func (h *Host) handle(delivery *Delivery) time.Duration {
	buffer := h.buffers.Get().(*[]byte)
	start := h.world.Now()
	returned := false
	defer func() {
		if returned {
			return
		}
		value := recover()
		h.fail(delivery, buffer, start, panicked(value), describe(value))
		if value == nil {
			go h.resume()
		}
	}()
	answer, err := h.handler(Scope{host: h, own: delivery}, delivery)
	end := h.world.Now()
	if err == nil {
		*buffer, err = h.pack((*buffer)[:0], delivery.id, answer, start, end)
	}
	returned = true
	if err != nil {
		h.fail(delivery, buffer, start, err, fmt.Sprintf("the handler failed: %+v", err))
	} else {
		h.finish(delivery, buffer)
	}
	return end.Sub(start)
}

// resume goes on in the place of a goroutine that user code has ended.
func (h *Host) resume() {
	if h.Hello.Concurrency > 1 {
		return
	}
	h.serveInTurn()
	h.link.flush()
	h.world.Exit(0)
}

// pack encodes the RESULT of a handler that returned.
func (h *Host) pack(out []byte, id uint32, answer any, start, end time.Time) ([]byte, error) {
	begin := func(status frame.Status) []byte {
		return frame.BeginResult(out, id, status, false, start.UnixNano(), end.UnixNano())
	}
	packed, given, err := h.form.pack(begin(frame.Answer), answer)
	if !given && err == nil {
		return begin(frame.None), nil
	}
	return packed, err
}

// fail logs why a handler failed, and writes the RESULT.
func (h *Host) fail(delivery *Delivery, buffer *[]byte, start time.Time, err error, trace string) {
	begin := func(status frame.Status) []byte {
		now := h.world.Now().UnixNano()
		return frame.BeginResult((*buffer)[:0], delivery.id, status, false, start.UnixNano(), now)
	}
	if h.wasCancelled(delivery) && errors.Is(err, context.Canceled) {
		*buffer = begin(frame.Cancelled)
		h.finish(delivery, buffer)
		return
	}
	Scope{host: h, own: delivery}.Log(frame.Fault, trace)
	var large *TooLargeError
	if errors.As(err, &large) {
		*buffer = frame.AppendSize(begin(frame.TooLarge), large.Size)
	} else {
		room := min(h.most, frame.MaxLog) - frame.ResultHead
		*buffer = append(begin(frame.Error), fit(text(err), room)...)
	}
	h.finish(delivery, buffer)
}

func (h *Host) wasCancelled(delivery *Delivery) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return delivery.cancelled
}

// finish writes a RESULT, after which no frame names the delivery.
func (h *Host) finish(delivery *Delivery, buffer *[]byte) {
	if h.link.close(delivery) {
		frame.SetEarlyExit(*buffer)
	}
	h.link.send(frame.End(*buffer, 0))
	*buffer = kept(*buffer)
	h.buffers.Put(buffer)

	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.working, delivery.id)
	delivery.over = true
	if delivery.cancel != nil {
		delivery.cancel()
	}
	if h.Hello.Concurrency > 1 {
		h.changed.Broadcast()
	}
}

// text is what the client is told of an error.
func text(err error) string {
	if words := err.Error(); words != "" {
		return words
	}
	return fmt.Sprintf("%T", err)
}

// panicked is what the client is told of a panic; nil is the end of the goroutine.
func panicked(value any) error {
	if value == nil {
		return errGoexit
	}
	return fmt.Errorf("panic: %v", value)
}
