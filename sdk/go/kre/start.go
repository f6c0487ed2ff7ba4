// Package kre turns two functions into a node of KRT v1.
//
//	func handlerInit(ctx *kre.HandlerContext) {
//		ctx.Set("greeting", "Hello")
//	}
//
//	func handler(ctx *kre.HandlerContext, data *anypb.Any) (proto.Message, error) {
//		request := &GreetRequest{}
//		if err := data.UnmarshalTo(request); err != nil {
//			return nil, err
//		}
//		return &Greeting{Text: ctx.GetString("greeting") + ", " + request.Name}, nil
//	}
//
//	func main() {
//		kre.Start(handlerInit, handler)
//	}
package kre

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/konstellation-io/krt/sdk/go/internal/birth"
	"github.com/konstellation-io/krt/sdk/go/internal/frame"
	"github.com/konstellation-io/krt/sdk/go/internal/standard"
	"github.com/konstellation-io/krt/sdk/go/internal/worker"
	"github.com/konstellation-io/krt/sdk/go/simplelogger"
)

// Start runs the node until the engine stops it.
//
// The handler is a Handler, or a function like it that returns the new API's proto.Message; no Go type covers
// both. For a node with `payload: json` in krt.yml it is a PlainHandler or a JSONHandler, and for a node with `batch`
// a BatchHandler or a PlainBatchHandler. handlerInit may be nil.
func Start(handlerInit HandlerInit, handler interface{}) {
	meet, err := connect()
	if err != nil {
		fail(err)
	}
	run(meet, handlerInit, handler)
}

// connect reads HELLO from the engine that started this process.
func connect() (*worker.Worker, error) {
	socket, err := birth.Socket()
	if err != nil {
		return nil, err
	}
	return worker.Meet(worker.World{
		Stream: socket,
		Shared: birth.SharedSocket,
		Stderr: os.Stderr,
		Now:    time.Now,
		Exit:   os.Exit,
		PID:    os.Getpid(),
	})
}

func fail(err error) {
	var violation *frame.ProtocolError
	status := worker.CannotStart
	switch {
	case errors.Is(err, worker.ErrGone):
		os.Exit(0)
	case errors.As(err, &violation):
		worker.World{Stderr: os.Stderr, Exit: os.Exit}.ProtocolError(violation)
	case errors.Is(err, birth.ErrNoEngine):
		status = worker.Usage
	}
	report(os.Stderr, err)
	os.Exit(status)
}

func report(out io.Writer, err error) {
	// There is no place to report an error to.
	_, _ = fmt.Fprintf(out, "krt: %v\n", err)
}

// run serves the connected engine.
func run(with *worker.Worker, handlerInit HandlerInit, handler interface{}) {
	if spoken := with.Hello.Protocol; spoken != frame.Protocol {
		with.Break(fmt.Sprintf(
			"this worker speaks version %d of the node protocol, the engine version %d; "+
				"hint: use the SDK that comes with the engine", frame.Protocol, spoken))
		return
	}
	node, err := adapt(handler)
	if err == nil {
		err = node.fits(&with.Hello)
	}
	if err != nil {
		with.Break(err.Error())
		return
	}
	scope := with.Scope()
	standard.Connect(func(level int, text string) {
		scope.Log(frameLevels[simplelogger.LogLevel(level)], text)
	})
	values := newValues()
	var initialise func(worker.Scope)
	if handlerInit != nil {
		initialise = func(scope worker.Scope) { handlerInit(newContext(&with.Hello, scope, values)) }
	}
	if node.batch != nil {
		with.ServeBatches(initialise, node.serveBatches(&with.Hello, values))
		return
	}
	with.Serve(initialise, func(scope worker.Scope, delivery *worker.Delivery) (any, error) {
		return node.handle(newContext(&with.Hello, scope, values), delivery)
	})
}
