package kre

import (
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/konstellation-io/krt/sdk/go/internal/document"
	"github.com/konstellation-io/krt/sdk/go/internal/frame"
	"github.com/konstellation-io/krt/sdk/go/internal/worker"
)

// BatchHandler is the handler of a node with `batch` in krt.yml: it gets the messages that wait, and returns an
// answer to each, in their order.
//
// If it returns an error, panics, or returns another number of answers, the batch fails as a whole: krt splits it
// until only the guilty request fails, unless the node has `isolate: false`.
type BatchHandler func(ctx *BatchContext, data []*anypb.Any) ([]Answer, error)

// PlainBatchHandler is a BatchHandler for a node with `payload: json` in krt.yml.
type PlainBatchHandler func(ctx *BatchContext, data []map[string]interface{}) ([]Answer, error)

// Answer is the answer to one item of a batch, or its error.
type Answer struct {
	// Message is a protobuf message, or plain data in a node with `payload: json`. Nil is no answer.
	Message Message
	// Err fails the item's request, and no other.
	Err error
}

// BatchContext is the context of a batch.
//
// The embedded context belongs to the node: values, paths and stores work as usual, and its logger writes without
// a request. What belongs to one request is in Items; EarlyReply and SetEarlyExit of the embedded context fail, and
// RequestID, Deadline, Metadata and TraceHeaders are empty.
type BatchContext struct {
	*HandlerContext
	// Items has the context of each item, in the order of the handler's data: the logger, the stores and the early
	// reply of its own request.
	Items []*HandlerContext
}

// many is the handler of a worker that gets batches.
type many func(*BatchContext, []*worker.Delivery) ([]Answer, error)

func messageBatches(handler BatchHandler) node {
	return node{payload: frame.Protobuf, batch: func(ctx *BatchContext, batch []*worker.Delivery) ([]Answer, error) {
		data := make([]*anypb.Any, len(batch))
		for index, delivery := range batch {
			data[index] = &delivery.Data
		}
		return handler(ctx, data)
	}}
}

func plainBatches(handler PlainBatchHandler) node {
	return node{payload: frame.JSON, batch: func(ctx *BatchContext, batch []*worker.Delivery) ([]Answer, error) {
		data := make([]map[string]interface{}, len(batch))
		for index, delivery := range batch {
			item, err := document.DecodePlain(delivery.JSON)
			if err != nil {
				return nil, err
			}
			data[index] = item
		}
		return handler(ctx, data)
	}}
}

// serveBatches returns what a worker calls for each batch.
func (n node) serveBatches(hello *frame.Introduction, values *values) worker.BatchHandler {
	return func(scope worker.Scope, batch []*worker.Delivery) ([]worker.Answer, error) {
		ctx := &BatchContext{HandlerContext: newContext(hello, scope, values)}
		for _, delivery := range batch {
			ctx.Items = append(ctx.Items, newContext(hello, scope.Of(delivery), values))
		}
		answers, err := n.batch(ctx, batch)
		ends := make([]worker.Answer, len(answers))
		for index, answer := range answers {
			ends[index] = worker.Answer{Value: answer.Message, Err: answer.Err}
		}
		return ends, err
	}
}
