package kre

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/konstellation-io/krt/sdk/go/internal/document"
	"github.com/konstellation-io/krt/sdk/go/internal/frame"
	"github.com/konstellation-io/krt/sdk/go/internal/worker"
)

// HandlerInit runs once, before the first message. A panic in it fails the start.
type HandlerInit func(ctx *HandlerContext)

// Handler runs for each message, one at a time unless krt.yml sets a higher concurrency. Its return value is
// the input of the next node, or the answer.
//
// A panic is an error of that request; the process continues.
type Handler func(ctx *HandlerContext, data *anypb.Any) (protoadapt.MessageV1, error)

// PlainHandler is a Handler for a node with `payload: json` in krt.yml. It gets the proto3 JSON of the
// message, and krt converts its return value to a message.
//
// Numbers are float64, or json.Number where a float64 would lose digits: whole numbers from 2^53 on. An
// answer may hold maps, slices, structs, strings, numbers, booleans and nil. A value that JSON cannot hold,
// such as NaN, is an error of that request. A nil map is no answer.
type PlainHandler func(ctx *HandlerContext, data map[string]interface{}) (map[string]interface{}, error)

// JSONHandler is the handler type of nodes for the first runners: a PlainHandler that reads and writes JSON
// itself. It may return every value that a PlainHandler may return, or a struct.
type JSONHandler func(ctx *HandlerContext, data []byte) (interface{}, error)

// Message is the argument of EarlyReply: a protobuf message of the new API (google.golang.org/protobuf/proto)
// or the old one (github.com/golang/protobuf/proto), or a map in a node with `payload: json`.
type Message interface{}

const signatures = "func(ctx *kre.HandlerContext, data *anypb.Any) (proto.Message, error), or with `payload: json` " +
	"func(ctx *kre.HandlerContext, data map[string]interface{}) (map[string]interface{}, error) or " +
	"func(ctx *kre.HandlerContext, data []byte) (interface{}, error)"

const batchSignatures = "func(ctx *kre.BatchContext, data []*anypb.Any) ([]kre.Answer, error), or with `payload: json` " +
	"func(ctx *kre.BatchContext, data []map[string]interface{}) ([]kre.Answer, error)"

// node is the handler of a worker in one of the two forms.
type node struct {
	// payload is the setting in krt.yml that the handler needs.
	payload string
	handle  func(*HandlerContext, *worker.Delivery) (interface{}, error)
	// batch is in the place of handle for a handler that gets batches.
	batch many
}

// adapt converts a handler of any type to a node.
func adapt(handler interface{}) (node, error) {
	switch handler := handler.(type) {
	case Handler:
		return messages(handler), present(handler == nil)
	case func(*HandlerContext, *anypb.Any) (protoadapt.MessageV1, error):
		return messages(handler), present(handler == nil)
	case func(*HandlerContext, *anypb.Any) (proto.Message, error):
		return messages(handler), present(handler == nil)
	case PlainHandler:
		return plain(handler), present(handler == nil)
	case func(*HandlerContext, map[string]interface{}) (map[string]interface{}, error):
		return plain(handler), present(handler == nil)
	case JSONHandler:
		return ofJSON(handler), present(handler == nil)
	case func(*HandlerContext, []byte) (interface{}, error):
		return ofJSON(handler), present(handler == nil)
	case BatchHandler:
		return messageBatches(handler), present(handler == nil)
	case func(*BatchContext, []*anypb.Any) ([]Answer, error):
		return messageBatches(handler), present(handler == nil)
	case PlainBatchHandler:
		return plainBatches(handler), present(handler == nil)
	case func(*BatchContext, []map[string]interface{}) ([]Answer, error):
		return plainBatches(handler), present(handler == nil)
	}
	return node{}, fmt.Errorf("kre.Start was given a `%T` as handler; hint: write %s", handler, signatures)
}

func messages[M interface{}](handler func(*HandlerContext, *anypb.Any) (M, error)) node {
	return node{payload: frame.Protobuf, handle: func(ctx *HandlerContext, delivery *worker.Delivery) (interface{}, error) {
		return handler(ctx, &delivery.Data)
	}}
}

func plain(handler PlainHandler) node {
	return node{payload: frame.JSON, handle: func(ctx *HandlerContext, delivery *worker.Delivery) (interface{}, error) {
		data, err := document.DecodePlain(delivery.JSON)
		if err != nil {
			return nil, err
		}
		return handler(ctx, data)
	}}
}

func ofJSON(handler JSONHandler) node {
	return node{payload: frame.JSON, handle: func(ctx *HandlerContext, delivery *worker.Delivery) (interface{}, error) {
		return handler(ctx, delivery.JSON)
	}}
}

func present(isNil bool) error {
	if isNil {
		return errors.New("kre.Start was given nil as handler; hint: give it the node's handler")
	}
	return nil
}

// fits checks that the handler accepts the payload and the batches of the engine.
func (n node) fits(hello *frame.Introduction) error {
	if hello.Batch != nil && n.batch == nil {
		return fmt.Errorf("node `%s` has `batch` in krt.yml, and its handler gets one message at a time; "+
			"hint: remove `batch`, or write %s", hello.Node, batchSignatures)
	}
	if hello.Batch == nil && n.batch != nil {
		return fmt.Errorf("the handler gets batches, and node `%s` has no `batch`; hint: add `batch: true` to it in "+
			"krt.yml", hello.Node)
	}
	var instead string
	switch hello.Payload {
	case n.payload:
		return nil
	case frame.Protobuf:
		instead = "take *anypb.Any and return proto.Message"
	case frame.JSON:
		instead = "take and return map[string]interface{}"
	default:
		return fmt.Errorf("this worker does not know `payload: %s` of node `%s`; "+
			"hint: use the SDK that comes with the engine", hello.Payload, hello.Node)
	}
	return fmt.Errorf("the handler works with `payload: %s`, node `%s` has `payload: %s`; "+
		"hint: change it in krt.yml, or let the handler %s", n.payload, hello.Node, hello.Payload, instead)
}
