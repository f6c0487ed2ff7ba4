package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

// batch holds the deliveries of one call of the handler.
type batch struct {
	deliveries []*Delivery

	// The worker's lock guards these.
	left    int
	over    bool
	context context.Context
	cancel  context.CancelFunc
}

// leave records that one more delivery was cancelled. The caller holds the worker's lock.
func (b *batch) leave() {
	b.left++
	if b.left == len(b.deliveries) && b.cancel != nil {
		b.cancel()
	}
}

// gather queues a batch with its last delivery. The caller holds the lock.
func (h *Worker) gather(delivery *Delivery, more bool) {
	h.begun = append(h.begun, delivery)
	if !more {
		h.whole = append(h.whole, &batch{deliveries: h.begun})
		h.begun = nil
	}
}

// drop takes a delivery out of a batch that has not started, and returns whether there was one. The caller
// holds the lock.
func (h *Worker) drop(id uint32) bool {
	if without, found := remove(h.begun, id); found {
		h.begun = without
		return true
	}
	for index, queued := range h.whole {
		without, found := remove(queued.deliveries, id)
		if !found {
			continue
		}
		queued.deliveries = without
		if len(without) == 0 {
			h.whole = append(h.whole[:index], h.whole[index+1:]...)
		}
		return true
	}
	return false
}

func remove(deliveries []*Delivery, id uint32) (without []*Delivery, found bool) {
	for index, delivery := range deliveries {
		if delivery.id == id {
			return append(deliveries[:index], deliveries[index+1:]...), true
		}
	}
	return deliveries, false
}

func (h *Worker) serveBatchesInTurn() {
	for {
		next := h.nextBatch(h.turn)
		if next == nil {
			return
		}
		if h.handleBatch(next) > lookAfter {
			h.look()
		}
	}
}

// nextBatch waits with wait for a batch that may start; it returns nil at the end.
func (h *Worker) nextBatch(wait func()) *batch {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		if len(h.whole) > 0 && h.busy < h.Hello.Concurrency {
			next := h.whole[0]
			h.whole = h.whole[1:]
			h.busy++
			for _, delivery := range next.deliveries {
				delivery.batch = next
				h.working[delivery.id] = delivery
			}
			return next
		}
		if len(h.whole) == 0 && h.stopping {
			return nil
		}
		wait()
	}
}

// handleBatch handles one batch, writes its RESULTs, and returns the duration of the handler.
func (h *Worker) handleBatch(of *batch) time.Duration {
	start := h.world.Now()
	returned := false
	defer h.endBatch(of)
	defer func() {
		if returned {
			return
		}
		value := recover()
		h.failBatch(of, start, panicked(value), describe(value))
		if value == nil {
			go h.resume()
		}
	}()
	answers, err := h.batches(Scope{worker: h, batch: of}, of.deliveries)
	end := h.world.Now()
	returned = true
	if err == nil && len(answers) != len(of.deliveries) {
		err = fmt.Errorf("the handler returned a list of length %d for a batch of %d; hint: return one answer for each "+
			"item, in their order", len(answers), len(of.deliveries))
	}
	if err != nil {
		h.failBatch(of, start, err, fmt.Sprintf("the handler failed: %+v", err))
		return end.Sub(start)
	}
	for index, delivery := range of.deliveries {
		h.endItem(delivery, answers[index], start, end)
	}
	return end.Sub(start)
}

// endItem writes the RESULT of one delivery of a batch.
func (h *Worker) endItem(delivery *Delivery, answer Answer, start, end time.Time) {
	buffer := h.buffers.Get().(*[]byte)
	packed := false
	defer func() {
		// Packing runs methods of the user's messages.
		if !packed {
			value := recover()
			h.fail(delivery, buffer, start, panicked(value), describe(value))
		}
	}()
	err := answer.Err
	if err == nil {
		*buffer, err = h.pack((*buffer)[:0], delivery.id, answer.Value, start, end)
	}
	packed = true
	if err != nil {
		h.fail(delivery, buffer, start, err, fmt.Sprintf("the handler failed: %+v", err))
	} else {
		h.finish(delivery, buffer)
	}
}

// failBatch logs the error of a batch that failed as a whole, and writes the RESULTs. The log of a request gets
// only its own error.
func (h *Worker) failBatch(of *batch, start time.Time, err error, trace string) {
	scope := Scope{worker: h, batch: of}
	if len(of.deliveries) == 1 {
		scope = scope.Of(of.deliveries[0])
	}
	if !h.isCancelled(of.deliveries[0], err) {
		scope.Log(frame.Fault, trace)
	}
	for _, delivery := range of.deliveries {
		buffer := h.buffers.Get().(*[]byte)
		h.packFailure(delivery, buffer, start, err)
		frame.SetWhole(*buffer)
		h.finish(delivery, buffer)
	}
}

// endBatch makes room for the next batch.
func (h *Worker) endBatch(of *batch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.busy--
	of.over = true
	if of.cancel != nil {
		of.cancel()
	}
	h.changed.Broadcast()
}

// contextOfBatch returns the context of a batch. From then on a goroutine reads until the batch is answered.
func (h *Worker) contextOfBatch(of *batch) context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	if of.context == nil {
		of.context, of.cancel = context.WithCancel(context.Background())
		if of.over || of.left == len(of.deliveries) {
			of.cancel()
		} else {
			go h.pump(func() bool { return of.over })
		}
	}
	return of.context
}
