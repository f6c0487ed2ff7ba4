package kre

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/konstellation-io/krt/sdk/go/internal/document"
	"github.com/konstellation-io/krt/sdk/go/internal/frame"
	"github.com/konstellation-io/krt/sdk/go/internal/host"
)

// HandlerInit is called once, before the first message. It may panic, which fails the start.
type HandlerInit func(ctx *HandlerContext)

// Handler is called for each message, one at a time unless the node asks for more. What it returns
// goes to the next node, or is the answer.
//
// A panic is an error of that request; the process lives on.
type Handler func(ctx *HandlerContext, data *anypb.Any) (protoadapt.MessageV1, error)

// PlainHandler is a Handler for a node with `payload: json` in krt.yml: it gets what proto3 JSON makes
// of the message, and returns what is to become one.
//
// Numbers come as float64, but as json.Number where that would lose digits: whole ones of 2^53 and
// more. An answer may hold maps, slices, structs, texts, numbers, booleans and nil; what JSON does not
// have, such as NaN, is an error of that request. A nil map is no answer.
type PlainHandler func(ctx *HandlerContext, data map[string]interface{}) (map[string]interface{}, error)

// Message is what EarlyReply takes: a message of protobuf, of the new API
// (google.golang.org/protobuf/proto) or the old one (github.com/golang/protobuf/proto), or a map in a
// node with `payload: json`.
type Message interface{}

const signatures = "func(ctx *kre.HandlerContext, data *anypb.Any) (proto.Message, error), or with `payload: json` " +
	"func(ctx *kre.HandlerContext, data map[string]interface{}) (map[string]interface{}, error)"

// node is what a host serves with.
type node struct {
	// payload is what krt.yml must say for the handler.
	payload string
	handle  func(*HandlerContext, *host.Delivery) (interface{}, error)
}

// adapt takes a handler of any kind.
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
	}
	return node{}, fmt.Errorf("kre.Start was given a `%T` as handler; hint: write %s", handler, signatures)
}

func messages[M interface{}](handler func(*HandlerContext, *anypb.Any) (M, error)) node {
	return node{frame.Protobuf, func(ctx *HandlerContext, delivery *host.Delivery) (interface{}, error) {
		return handler(ctx, &delivery.Data)
	}}
}

func plain(handler PlainHandler) node {
	return node{frame.JSON, func(ctx *HandlerContext, delivery *host.Delivery) (interface{}, error) {
		data, err := document.DecodePlain(delivery.JSON)
		if err != nil {
			return nil, err
		}
		return handler(ctx, data)
	}}
}

func present(isNil bool) error {
	if isNil {
		return errors.New("kre.Start was given nil as handler; hint: give it the node's handler")
	}
	return nil
}

// fits checks that the handler takes what the engine sends.
func (n node) fits(hello *frame.Introduction) error {
	var instead string
	switch hello.Payload {
	case n.payload:
		return nil
	case frame.Protobuf:
		instead = "take *anypb.Any and return proto.Message"
	case frame.JSON:
		instead = "take and return map[string]interface{}"
	default:
		return fmt.Errorf("this host does not know `payload: %s` of node `%s`; "+
			"hint: use the SDK that comes with the engine", hello.Payload, hello.Node)
	}
	return fmt.Errorf("the handler works with `payload: %s`, node `%s` has `payload: %s`; "+
		"hint: change it in krt.yml, or let the handler %s", n.payload, hello.Node, hello.Payload, instead)
}
