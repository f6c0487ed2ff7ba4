package kre

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/konstellation-io/krt/sdk/go/internal/enginetest"
	"github.com/konstellation-io/krt/sdk/go/internal/frame"
	"github.com/konstellation-io/krt/sdk/go/internal/worker"
	"github.com/konstellation-io/krt/sdk/go/simplelogger"
)

type newHandler = func(*HandlerContext, *anypb.Any) (proto.Message, error)

// start runs a node against an engine, and reads READY.
func start(t *testing.T, handlerInit HandlerInit, handler newHandler) *enginetest.Engine {
	t.Helper()
	engine := begin(t, enginetest.Hello(), handlerInit, handler)
	engine.Ready()
	return engine
}

func begin(t *testing.T, hello map[string]any, handlerInit HandlerInit, handler interface{}) *enginetest.Engine {
	t.Helper()
	return enginetest.Start(t, hello, func(with *worker.Worker) { run(with, handlerInit, handler) })
}

// handle runs a handler for one message.
func handle(t *testing.T, handler newHandler) *enginetest.Engine {
	t.Helper()
	engine := start(t, nil, handler)
	engine.Deliver(1, false, wrapperspb.String("in"))
	return engine
}

// stop sends STOP to a node and expects a clean exit.
func stop(t *testing.T, engine *enginetest.Engine) {
	t.Helper()
	engine.Send(frame.Stop, 0, nil)
	if status := engine.Status(); status != 0 {
		t.Fatalf("it exited with %d: %s", status, engine.Stderr)
	}
}

func echo(_ *HandlerContext, data *anypb.Any) (proto.Message, error) {
	text := &wrapperspb.StringValue{}
	return text, data.UnmarshalTo(text)
}

func expect[T comparable](t *testing.T, got, expected T) {
	t.Helper()
	if got != expected {
		t.Fatalf("got\n%v\nnot\n%v", got, expected)
	}
}

func TestReadyIntroducesTheWorker(t *testing.T) {
	engine := begin(t, enginetest.Hello(), nil, newHandler(echo))
	var ready map[string]any
	if err := json.Unmarshal(engine.Await(frame.Ready).Body, &ready); err != nil {
		t.Fatal(err)
	}
	expect(t, fmt.Sprintln(ready["protocol"], ready["pid"], ready["sdk"]), "1 42 krt-go "+worker.Version+"\n")
	expect(t, ready["language"].(string), "Go "+strings.TrimPrefix(runtime.Version(), "go"))
	stop(t, engine)
}

func TestMessagesAreAnsweredInOrder(t *testing.T) {
	engine := start(t, nil, echo)
	var together []byte
	for id := uint32(1); id <= 9; id++ {
		together = append(together, enginetest.Delivery(t, id, false, wrapperspb.String(fmt.Sprint("text ", id)))...)
	}
	engine.Write(together)
	for id := uint32(1); id <= 9; id++ {
		result := engine.Result()
		text := &wrapperspb.StringValue{}
		enginetest.Unpack(t, result.Last, text)
		expect(t, result.ID, id)
		expect(t, text.Value, fmt.Sprint("text ", id))
	}
	stop(t, engine)
}

func TestAMessageOfAMebibyte(t *testing.T) {
	hello := enginetest.Hello()
	hello["max_frame"], hello["max_message"] = 4<<20, 3<<20
	engine := begin(t, hello, nil, newHandler(echo))
	engine.Ready()
	for id := uint32(1); id <= 3; id++ {
		blob := wrapperspb.String(strings.Repeat("x", 1<<20))
		engine.Deliver(id, false, blob)
		text := &wrapperspb.StringValue{}
		enginetest.Unpack(t, engine.Result().Last, text)
		expect(t, text.Value == blob.Value, true)
	}
	stop(t, engine)
}

func TestResultsOfHandlers(t *testing.T) {
	rows := []struct {
		name    string
		handler newHandler
		status  frame.Status
		last    string
		log     string
	}{
		{"nil", func(*HandlerContext, *anypb.Any) (proto.Message, error) { return nil, nil }, frame.None, "", ""},
		{"nil pointer", func(*HandlerContext, *anypb.Any) (proto.Message, error) {
			return (*wrapperspb.StringValue)(nil), nil
		}, frame.None, "", ""},
		{"error", func(*HandlerContext, *anypb.Any) (proto.Message, error) {
			return wrapperspb.String("lost"), fmt.Errorf("no price: %w", os.ErrNotExist)
		}, frame.Error, "no price: file does not exist", "the handler failed: no price: file does not exist"},
		{"silent error", func(*HandlerContext, *anypb.Any) (proto.Message, error) {
			return nil, errors.New("")
		}, frame.Error, "*errors.errorString", "the handler failed: "},
		{"panic", func(*HandlerContext, *anypb.Any) (proto.Message, error) {
			panic("no model")
		}, frame.Error, "panic: no model", "panic: no model\n"},
		{"Goexit", func(*HandlerContext, *anypb.Any) (proto.Message, error) {
			runtime.Goexit()
			return nil, nil
		}, frame.Error, "user code ended its goroutine (runtime.Goexit)", "user code ended its goroutine (runtime.Goexit)"},
		{"broken text", func(*HandlerContext, *anypb.Any) (proto.Message, error) {
			return wrapperspb.String("\xff"), nil
		}, frame.Error, "string field contains invalid UTF-8", "the handler failed: string field contains invalid UTF-8"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			calls := 0
			engine := handle(t, func(ctx *HandlerContext, data *anypb.Any) (proto.Message, error) {
				if calls++; calls > 1 {
					return echo(ctx, data)
				}
				return row.handler(ctx, data)
			})
			if row.log != "" {
				log := engine.Log()
				expect(t, strings.HasPrefix(log, "3 1 "+row.log), true)
			}
			result := engine.Result()
			expect(t, result.Status, row.status)
			if !strings.HasSuffix(string(result.Last), row.last) {
				t.Fatalf("%q", result.Last)
			}
			engine.Deliver(2, false, wrapperspb.String("again"))
			expect(t, engine.Result().Status, frame.Answer)
			stop(t, engine)
		})
	}
}

func TestALoggerWithoutAContextWritesToTheEngine(t *testing.T) {
	engine := handle(t, func(_ *HandlerContext, data *anypb.Any) (proto.Message, error) {
		logger := simplelogger.New(simplelogger.LevelWarn)
		logger.Info("left out")
		logger.Warn("2001-01-01T00:00:00.000Z ERROR kept")
		return echo(nil, data)
	})
	expect(t, engine.Log(), "2 1 2001-01-01T00:00:00.000Z ERROR kept")
	engine.Await(frame.Result)
	stop(t, engine)
}

func TestPanicsAreLoggedWithUserFramesOnly(t *testing.T) {
	var index []int
	engine := handle(t, func(*HandlerContext, *anypb.Any) (proto.Message, error) {
		return wrapperspb.Int64(int64(index[3])), nil
	})
	log := engine.Log()
	for _, part := range []string{"panic: runtime error: index out of range [3] with length 0\n"} {
		if !strings.Contains(log, part) {
			t.Fatalf("no %q in %s", part, log)
		}
	}
	for _, part := range []string{"internal/worker", "debug.Stack", "goroutine"} {
		if strings.Contains(log, part) {
			t.Fatalf("%q in %s", part, log)
		}
	}
	engine.Result()
	stop(t, engine)
}

func TestAnOversizedAnswer(t *testing.T) {
	hello := enginetest.Hello()
	hello["max_message"] = 100
	engine := begin(t, hello, nil, newHandler(func(*HandlerContext, *anypb.Any) (proto.Message, error) {
		return wrapperspb.String(strings.Repeat("x", 200)), nil
	}))
	engine.Ready()
	engine.Deliver(1, false, wrapperspb.String(""))
	words := "the answer, a `google.protobuf.StringValue`, has 203 bytes, more than the limit of 100 bytes"
	expect(t, engine.Log(), "3 1 the handler failed: "+words)
	result := engine.Result()
	expect(t, result.Status, frame.TooLarge)
	expect(t, binary.LittleEndian.Uint64(result.Last), 203)
	stop(t, engine)
}

func TestAnAnyIsSentUnchanged(t *testing.T) {
	engine := handle(t, func(_ *HandlerContext, data *anypb.Any) (proto.Message, error) { return data, nil })
	text := &wrapperspb.StringValue{}
	enginetest.Unpack(t, engine.Result().Last, text)
	expect(t, text.Value, "in")
	stop(t, engine)
}

func TestHandlersOfBothAPIs(t *testing.T) {
	old := func(ctx *HandlerContext, data *anypb.Any) (protoadapt.MessageV1, error) {
		answer, err := echo(ctx, data)
		return protoadapt.MessageV1Of(answer), err
	}
	for _, handler := range []interface{}{newHandler(echo), old, Handler(old)} {
		engine := begin(t, enginetest.Hello(), nil, handler)
		engine.Ready()
		engine.Deliver(1, false, wrapperspb.String("in"))
		expect(t, engine.Result().Status, frame.Answer)
		stop(t, engine)
	}
}

func TestFailedStarts(t *testing.T) {
	later := enginetest.Hello()
	later["protocol"] = 2
	json, other := enginetest.Hello(), enginetest.Hello()
	json["payload"], other["payload"] = "json", "xml"
	copied := func(_ *HandlerContext, data map[string]interface{}) (map[string]interface{}, error) { return data, nil }
	hint := "; hint: write " + signatures
	rows := []struct {
		name        string
		hello       map[string]any
		handlerInit HandlerInit
		handler     interface{}
		words       string
	}{
		{"protocol", later, nil, newHandler(echo), "this worker speaks version 1 of the node protocol, the engine " +
			"version 2; hint: use the SDK that comes with the engine"},
		{"a message handler for plain data", json, nil, newHandler(echo), "the handler works with `payload: protobuf`, " +
			"node `etl` has `payload: json`; hint: change it in krt.yml, or let the handler take and return map[string]interface{}"},
		{"a plain handler for messages", enginetest.Hello(), nil, copied, "the handler works with `payload: json`, node " +
			"`etl` has `payload: protobuf`; hint: change it in krt.yml, or let the handler take *anypb.Any and return proto.Message"},
		{"another payload", other, nil, PlainHandler(copied), "this worker does not know `payload: xml` of node `etl`; " +
			"hint: use the SDK that comes with the engine"},
		{"no handler", enginetest.Hello(), nil, nil, "kre.Start was given a `<nil>` as handler" + hint},
		{"other handler", enginetest.Hello(), nil, func() {}, "kre.Start was given a `func()` as handler" + hint},
		{"nil handler", enginetest.Hello(), nil, Handler(nil),
			"kre.Start was given nil as handler; hint: give it the node's handler"},
		{"nil plain handler", json, nil, PlainHandler(nil),
			"kre.Start was given nil as handler; hint: give it the node's handler"},
		{"init panics", enginetest.Hello(), func(*HandlerContext) { panic("no model") }, newHandler(echo),
			"panic: no model"},
		{"init ends", enginetest.Hello(), func(*HandlerContext) { runtime.Goexit() }, newHandler(echo),
			"user code ended its goroutine (runtime.Goexit)"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			engine := begin(t, row.hello, row.handlerInit, row.handler)
			words, _, _ := strings.Cut(string(engine.Await(frame.Broken).Body), "\n")
			expect(t, words, row.words)
			expect(t, engine.Status(), 1)
		})
	}
}

func TestProtocolViolationsOfTheEngine(t *testing.T) {
	hello := frame.Append(nil, frame.Hello, 0, []byte(`{"protocol":1}`))
	rows := []struct {
		name  string
		first []byte
		then  []byte
		words string
	}{
		{"another first frame", frame.Append(nil, frame.Stop, 0, nil), nil, "the first frame has the kind 7, not 1"},
		{"a short HELLO", hello, nil, "HELLO has no field 'node'"},
		{"a HELLO that is not JSON", frame.Append(nil, frame.Hello, 0, []byte("{")), nil,
			"HELLO does not parse: unexpected end of JSON input"},
		{"a second HELLO", nil, hello, "a second HELLO came"},
		{"an unknown call", nil, frame.Append(nil, frame.Done, 7, nil), "no call 7 waits for an answer"},
		{"an unknown kind", nil, frame.Append(nil, 99, 0, nil), "no frame of the engine's has the kind 99"},
		{"a short DELIVER", nil, frame.Append(nil, frame.Deliver, 3, []byte{0}),
			"DELIVER 3 does not parse: it is too short"},
		{"metadata without end", nil, frame.Append(nil, frame.Deliver, 3, []byte{0, 0, 0, 9, 0, 0}),
			"DELIVER 3 does not parse: its metadata has no end"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			serve := func(with *worker.Worker) { run(with, nil, newHandler(echo)) }
			var engine *enginetest.Engine
			if row.first == nil {
				engine = enginetest.Start(t, enginetest.Hello(), serve)
				engine.Write(row.then)
			} else {
				engine = enginetest.Connect(t, serve)
				engine.Write(row.first)
			}
			expect(t, engine.Status(), 70)
			expect(t, engine.Stderr.String(), "krt: the engine broke the node protocol: "+row.words+"\n")
		})
	}
}

func TestAnAnyInAnUnusualEncoding(t *testing.T) {
	engine := start(t, nil, echo)
	value := []byte{0x0a, 2, 'h', 'i'}
	name := "type.googleapis.com/google.protobuf.StringValue"
	payload := append([]byte{0x12, byte(len(value))}, value...)
	payload = append(append(payload, 0x0a, byte(len(name))), name...)
	engine.Send(frame.Deliver, 1, append(make([]byte, 6), payload...))
	text := &wrapperspb.StringValue{}
	enginetest.Unpack(t, engine.Result().Last, text)
	expect(t, text.Value, "hi")
	engine.Send(frame.Deliver, 2, append(make([]byte, 6), 0xff))
	expect(t, engine.Status(), 70)
}

func TestEndsOfAWorker(t *testing.T) {
	t.Run("stop while idle", func(t *testing.T) { stop(t, start(t, nil, echo)) })
	t.Run("the engine closes the socket", func(t *testing.T) {
		engine := start(t, nil, echo)
		engine.Close()
		expect(t, engine.Status(), 0)
	})
	t.Run("the engine closes the socket before HELLO", func(t *testing.T) {
		engine := enginetest.Connect(t, func(*worker.Worker) { t.Error("it serves") })
		engine.Close()
		expect(t, engine.Status(), 0)
	})
	t.Run("stop finishes earlier deliveries", func(t *testing.T) {
		engine := start(t, nil, echo)
		engine.Write(append(enginetest.Delivery(t, 1, false, wrapperspb.String("x")), frame.Append(nil, frame.Stop, 0, nil)...))
		expect(t, engine.Result().Status, frame.Answer)
		expect(t, engine.Status(), 0)
	})
	for _, end := range []func(*enginetest.Engine){
		func(engine *enginetest.Engine) { engine.Send(frame.Stop, 0, nil) },
		func(engine *enginetest.Engine) { engine.Close() },
	} {
		t.Run("during init", func(t *testing.T) {
			began := make(chan struct{})
			engine := begin(t, enginetest.Hello(), func(*HandlerContext) {
				close(began)
				select {}
			}, newHandler(echo))
			<-began
			end(engine)
			expect(t, engine.Status(), 0)
		})
	}
}

func TestCancel(t *testing.T) {
	t.Run("before the handler begins", func(t *testing.T) {
		engine := start(t, nil, echo)
		together := enginetest.Delivery(t, 1, false, wrapperspb.String("x"))
		together = append(together, enginetest.Delivery(t, 2, false, wrapperspb.String("y"))...)
		together = frame.Append(together, frame.Cancel, 2, nil)
		engine.Write(frame.Append(together, frame.Cancel, 77, nil))
		statuses := map[uint32]frame.Status{}
		for len(statuses) < 2 {
			result := engine.Result()
			statuses[result.ID] = result.Status
		}
		expect(t, statuses[1], frame.Answer)
		expect(t, statuses[2], frame.Cancelled)
		stop(t, engine)
	})
	t.Run("in flight", func(t *testing.T) {
		began := make(chan struct{})
		engine := handle(t, func(ctx *HandlerContext, _ *anypb.Any) (proto.Message, error) {
			watch := ctx.Context()
			close(began)
			<-watch.Done()
			return nil, fmt.Errorf("stopped: %w", watch.Err())
		})
		<-began
		engine.Send(frame.Cancel, 1, nil)
		expect(t, engine.Result().Status, frame.Cancelled)
		stop(t, engine)
	})
	t.Run("ignored by the handler", func(t *testing.T) {
		began, release := make(chan struct{}), make(chan struct{})
		engine := handle(t, func(ctx *HandlerContext, data *anypb.Any) (proto.Message, error) {
			close(began)
			<-release
			return echo(ctx, data)
		})
		<-began
		engine.Send(frame.Cancel, 1, nil)
		close(release)
		expect(t, engine.Result().Status, frame.Answer)
		stop(t, engine)
	})
	t.Run("the context ends with the handler", func(t *testing.T) {
		watched := make(chan context.Context, 1)
		engine := handle(t, func(ctx *HandlerContext, data *anypb.Any) (proto.Message, error) {
			watched <- ctx.Context()
			return echo(ctx, data)
		})
		expect(t, engine.Result().Status, frame.Answer)
		<-(<-watched).Done()
		engine.Deliver(2, false, wrapperspb.String("after"))
		<-watched
		expect(t, engine.Result().ID, 2)
		stop(t, engine)
	})
}

func TestConcurrency(t *testing.T) {
	hello := enginetest.Hello()
	hello["concurrency"] = 3
	release, began := make(chan struct{}), make(chan string, 8)
	engine := begin(t, hello, nil, newHandler(func(ctx *HandlerContext, data *anypb.Any) (proto.Message, error) {
		text, _ := echo(ctx, data)
		ctx.Logger.Info("begun")
		began <- text.(*wrapperspb.StringValue).Value
		<-release
		if text.(*wrapperspb.StringValue).Value == "exit" {
			runtime.Goexit()
		}
		return text, nil
	}))
	engine.Ready()
	for id, text := range []string{"a", "exit", "c", "d"} {
		engine.Deliver(uint32(id+1), false, wrapperspb.String(text))
	}
	for count := 0; count < 3; count++ {
		<-began
		engine.Log()
	}
	select {
	case text := <-began:
		t.Fatalf("%q began, too", text)
	default:
	}
	close(release)
	seen := map[uint32]bool{}
	for len(seen) < 4 {
		if next := engine.Next(); next.Kind == frame.Result {
			seen[next.ID] = true
		}
	}
	stop(t, engine)
}
