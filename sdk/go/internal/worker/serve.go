package worker

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

// Version is the version of the SDK.
const Version = "0.1.0"

// The exit statuses of a worker that ends abnormally.
const (
	// CannotStart stands for a failed init.
	CannotStart = 1
	// Usage stands for a process without an engine.
	Usage = 64
	// broken stands for a protocol violation of the engine.
	broken = 70
)

var (
	errGoexit = errors.New("user code ended its goroutine (runtime.Goexit)")
	// errNothing is the error of a peeker without available data.
	errNothing = syscall.EAGAIN
)

// peeker reads the available data without waiting, and returns syscall.EAGAIN if there is none.
type peeker interface {
	ReadNow([]byte) (int, error)
}

// ProtocolError reports a protocol violation of the engine and ends the process.
func (w World) ProtocolError(what error) {
	_, _ = fmt.Fprintf(w.Stderr, "krt: the engine broke the node protocol: %v\n", what)
	w.Exit(broken)
}

// Serve runs init, and then the handler for each delivery until the engine sends STOP.
func (h *Worker) Serve(init func(Scope), handler Handler) {
	h.handler = handler
	h.serve(init)
}

// ServeBatches runs init, and then the handler for each batch until the engine sends STOP.
func (h *Worker) ServeBatches(init func(Scope), handler BatchHandler) {
	h.batches = handler
	h.serve(init)
}

func (h *Worker) serve(init func(Scope)) {
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

// Break reports why this node cannot start, and ends the process.
func (h *Worker) Break(why string) {
	h.link.send(frame.Append(nil, frame.Broken, 0, []byte(fit(why, frame.MaxLog))))
	h.world.Exit(CannotStart)
}

// initialise runs init, and returns whether the worker may serve.
func (h *Worker) initialise(init func(Scope)) bool {
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
	init(h.Scope())
	h.mu.Lock()
	defer h.mu.Unlock()
	ended = true
	return !h.stopping
}

// watchStart reads while init runs, and ends the process if the engine stops it meanwhile.
func (h *Worker) watchStart(ended *bool) {
	h.pump(func() bool { return *ended || h.stopping })
	h.mu.Lock()
	gaveUp := !*ended && h.stopping
	h.mu.Unlock()
	if gaveUp {
		h.world.Exit(0)
	}
}

func (h *Worker) introduce() {
	body, err := json.Marshal(map[string]any{
		"protocol": frame.Protocol,
		"sdk":      "krt-go " + Version,
		"language": "Go " + strings.TrimPrefix(runtime.Version(), "go"),
		"pid":      h.world.PID,
		"batch":    true,
		"stream":   true,
	})
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	h.link.send(frame.Append(nil, frame.Ready, 0, body))
}

func (h *Worker) serveInTurn() {
	if h.batches != nil {
		h.serveBatchesInTurn()
		return
	}
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

// serveAtOnce runs each delivery in its own goroutine. One more goroutine reads all the time, since a
// goroutine in a long blocking read would keep others from running.
func (h *Worker) serveAtOnce() {
	go h.pump(func() bool { return false })
	for h.startNext() {
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.working) > 0 {
		h.changed.Wait()
	}
}

// startNext waits for a delivery or a batch, and starts its handler; it returns false at the end.
func (h *Worker) startNext() bool {
	if h.batches != nil {
		batch := h.nextBatch(h.changed.Wait)
		if batch != nil {
			go h.handleBatch(batch)
		}
		return batch != nil
	}
	delivery := h.next(h.changed.Wait)
	if delivery != nil {
		go h.handle(delivery)
	}
	return delivery != nil
}

// next waits with wait for a delivery that may start; it returns nil at the end.
func (h *Worker) next(wait func()) *Delivery {
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

// look reads the available frames without waiting.
func (h *Worker) look() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if peek, can := h.world.Stream.(peeker); can && !h.reading && !h.gone {
		h.fill(peek.ReadNow)
	}
}

// handle handles one delivery, writes its RESULT, and returns the duration of the handler.
func (h *Worker) handle(delivery *Delivery) time.Duration {
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
	answer, err := h.handler(Scope{worker: h, own: delivery}, delivery)
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

// resume continues in place of a goroutine that user code ended.
func (h *Worker) resume() {
	if h.Hello.Concurrency > 1 {
		return
	}
	h.serveInTurn()
	h.link.flush()
	h.world.Exit(0)
}

// pack encodes the RESULT of a handler that returned.
func (h *Worker) pack(out []byte, id uint32, answer any, start, end time.Time) ([]byte, error) {
	begin := func(status frame.Status) []byte {
		return frame.BeginResult(out, id, status, false, start.UnixNano(), end.UnixNano())
	}
	packed, given, err := h.form.pack(begin(frame.Answer), answer)
	if !given && err == nil {
		return begin(frame.None), nil
	}
	return packed, err
}

// fail logs the error of a handler and writes the RESULT.
func (h *Worker) fail(delivery *Delivery, buffer *[]byte, start time.Time, err error, trace string) {
	if !h.isCancelled(delivery, err) {
		Scope{worker: h, own: delivery}.Log(frame.Fault, trace)
	}
	h.packFailure(delivery, buffer, start, err)
	h.finish(delivery, buffer)
}

// isCancelled returns whether an error only says that the delivery was cancelled.
func (h *Worker) isCancelled(delivery *Delivery, err error) bool {
	return h.wasCancelled(delivery) && errors.Is(err, context.Canceled)
}

// packFailure encodes the RESULT of a failed handler.
func (h *Worker) packFailure(delivery *Delivery, buffer *[]byte, start time.Time, err error) {
	begin := func(status frame.Status) []byte {
		now := h.world.Now().UnixNano()
		return frame.BeginResult((*buffer)[:0], delivery.id, status, false, start.UnixNano(), now)
	}
	if h.isCancelled(delivery, err) {
		*buffer = begin(frame.Cancelled)
		return
	}
	var large *TooLargeError
	if errors.As(err, &large) {
		*buffer = frame.AppendSize(begin(frame.TooLarge), large.Size)
	} else {
		room := min(h.most, frame.MaxLog) - frame.ResultHead
		*buffer = append(begin(frame.Error), fit(text(err), room)...)
	}
}

func (h *Worker) wasCancelled(delivery *Delivery) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return delivery.cancelled
}

// finish writes a RESULT; no later frame names the delivery.
func (h *Worker) finish(delivery *Delivery, buffer *[]byte) {
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

// text returns the client's message for an error.
func text(err error) string {
	if words := err.Error(); words != "" {
		return words
	}
	return fmt.Sprintf("%T", err)
}

// panicked returns the client's error for a panic; a nil value stands for the end of the goroutine.
func panicked(value any) error {
	if value == nil {
		return errGoexit
	}
	return fmt.Errorf("panic: %v", value)
}
