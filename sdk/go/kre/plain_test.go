package kre

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/konstellation-io/krt/sdk/go/internal/enginetest"
	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

// startPlain runs a node with plain data against an engine, and reads READY.
func startPlain(t *testing.T, handler PlainHandler) *enginetest.Engine {
	t.Helper()
	hello := enginetest.Hello()
	hello["payload"], hello["max_message"] = "json", 100
	engine := begin(t, hello, nil, handler)
	engine.Ready()
	return engine
}

func deliverPlain(engine *enginetest.Engine, id uint32, text string) {
	engine.Send(frame.Deliver, id, append(make([]byte, 6), text...))
}

func TestPlainDataInputAndOutput(t *testing.T) {
	type price struct {
		Amount   float64 `json:"amount"`
		Currency string  `json:"currency,omitempty"`
	}
	engine := startPlain(t, func(_ *HandlerContext, data map[string]interface{}) (map[string]interface{}, error) {
		data["price"] = &price{Amount: data["count"].(float64) * 2}
		data["tags"] = []string{"a"}
		return data, nil
	})
	for id := uint32(1); id <= 2; id++ {
		deliverPlain(engine, id, `{"count":3,"name":"é","nothing":null,"deep":{"list":[1,0.5,{}]}}`)
		result := engine.Result()
		expect(t, result.Status, frame.Answer)
		expect(t, string(result.Last),
			`{"count":3,"deep":{"list":[1,0.5,{}]},"name":"é","nothing":null,"price":{"amount":6},"tags":["a"]}`)
	}
	stop(t, engine)
}

func TestResultsOfPlainHandlers(t *testing.T) {
	fields := func(value interface{}) map[string]interface{} { return map[string]interface{}{"v": value} }
	rows := []struct {
		name   string
		answer map[string]interface{}
		err    error
		status frame.Status
		last   string
	}{
		{"nil", nil, nil, frame.None, ""},
		{"empty", map[string]interface{}{}, nil, frame.Answer, "{}"},
		{"error", fields(1), errors.New("no price"), frame.Error, "no price"},
		{"NaN", fields([]float64{1, math.NaN()}), nil, frame.Error, "field `v[1]` is NaN, which JSON does not have"},
		{"message", fields(wrapperspb.String("x")), nil, frame.Error, "field `v` is a `*wrapperspb.StringValue`, a message; " +
			"hint: this node has `payload: json` in krt.yml, give a map"},
		{"exact", fields(int64(1<<53 + 1)), nil, frame.Answer, `{"v":9007199254740993}`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			engine := startPlain(t, func(*HandlerContext, map[string]interface{}) (map[string]interface{}, error) {
				return row.answer, row.err
			})
			deliverPlain(engine, 1, "{}")
			if row.status == frame.Error {
				expect(t, engine.Log(), "3 1 the handler failed: "+row.last)
			}
			result := engine.Result()
			expect(t, result.Status, row.status)
			expect(t, string(result.Last), row.last)
			stop(t, engine)
		})
	}
}

func TestAnOversizedPlainAnswer(t *testing.T) {
	engine := startPlain(t, func(*HandlerContext, map[string]interface{}) (map[string]interface{}, error) {
		return map[string]interface{}{"v": make([]byte, 90)}, nil
	})
	deliverPlain(engine, 1, "{}")
	expect(t, engine.Log(), "3 1 the handler failed: the answer, JSON, has 128 bytes, more than the limit of 100 bytes")
	result := engine.Result()
	expect(t, result.Status, frame.TooLarge)
	expect(t, binary.LittleEndian.Uint64(result.Last), 128)
	stop(t, engine)
}

func TestPlainDataOfAnySizeIsComplete(t *testing.T) {
	engine := startPlain(t, func(_ *HandlerContext, data map[string]interface{}) (map[string]interface{}, error) {
		text := data["text"].(string)
		return map[string]interface{}{"size": len(text), "same": strings.Trim(text, text[:1]) == ""}, nil
	})
	// Frames from one write share a buffer; the largest frame has its own.
	var together []byte
	sizes := []int{1, 30_000, 90_000, 500_000, 2}
	for id, size := range sizes {
		body := append(make([]byte, 6), `{"text":"`+strings.Repeat(string(rune('a'+id)), size)+`"}`...)
		together = frame.Append(together, frame.Deliver, uint32(id+1), body)
	}
	engine.Write(together)
	for _, size := range sizes {
		expect(t, string(engine.Result().Last), fmt.Sprintf(`{"same":true,"size":%d}`, size))
	}
	stop(t, engine)
}

func TestDataOtherThanMapsFailsOnlyItsRequest(t *testing.T) {
	engine := startPlain(t, func(_ *HandlerContext, data map[string]interface{}) (map[string]interface{}, error) {
		return data, nil
	})
	for id, row := range []struct{ text, words string }{
		{`{"a":`, "the data do not parse: unexpected EOF"},
		{`["a"]`, "the data are [\"a\"], not a map of names to values; hint: a handler over *anypb.Any takes them, " +
			"in a node without `payload: json`"},
	} {
		deliverPlain(engine, uint32(id+1), row.text)
		engine.Log()
		expect(t, string(engine.Result().Last), row.words)
	}
	deliverPlain(engine, 3, `{"a":1}`)
	expect(t, string(engine.Result().Last), `{"a":1}`)
	stop(t, engine)
}

func TestPlainEarlyReplies(t *testing.T) {
	rows := []struct {
		name     string
		response Message
		reply    string
		words    string
	}{
		{"map", map[string]int{"a": 1}, `{"a":1}`, ""},
		{"struct", struct{ A []string }{[]string{"b"}}, `{"A":["b"]}`, ""},
		{"text, for an RPC that returns one", "a", `"a"`, ""},
		{"nil map", map[string]interface{}(nil), "", "[ctx.early_reply] there is nothing to reply with; hint: build a message " +
			"of the `.proto`, or a map where the node has `payload: json`"},
		{"channel", map[string]interface{}{"a": make(chan int)}, "", "field `a` is a `chan int`, not plain data; " +
			"hint: return its fields, or its text"},
		{"message", wrapperspb.String("a"), "", "the answer is a `*wrapperspb.StringValue`, a message; hint: this node has " +
			"`payload: json` in krt.yml, give a map"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			engine := startPlain(t, func(ctx *HandlerContext, _ map[string]interface{}) (map[string]interface{}, error) {
				ctx.SetEarlyExit()
				return nil, ctx.EarlyReply(row.response)
			})
			deliverPlain(engine, 1, "{}")
			if row.words == "" {
				expect(t, string(engine.Await(frame.EarlyReply).Body), row.reply)
			} else {
				engine.Log()
			}
			result := engine.Result()
			expect(t, string(result.Last), row.words)
			expect(t, result.EarlyExit, true)
			stop(t, engine)
		})
	}
}
