package kre

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/konstellation-io/krt/sdk/go/internal/enginetest"
	"github.com/konstellation-io/krt/sdk/go/internal/frame"
	"github.com/konstellation-io/krt/sdk/go/internal/worker"
)

type oldInput struct {
	Name string `json:"name"`
}

type oldOutput struct {
	Greeting string `json:"greeting"`
}

// startJSON runs a node with a JSONHandler against an engine, and reads READY.
func startJSON(t *testing.T, handlerInit HandlerInit, handler interface{}) *enginetest.Engine {
	t.Helper()
	hello := enginetest.Hello()
	hello["payload"] = "json"
	engine := begin(t, hello, handlerInit, handler)
	engine.Ready()
	return engine
}

// warned reads count LOG frames and returns the old names that they warn about.
func warned(t *testing.T, engine *enginetest.Engine, count int) []string {
	t.Helper()
	names := make([]string, count)
	for index := range names {
		text := string(engine.Await(frame.Log).Body)
		_, words, found := strings.Cut(text, "`ctx.")
		name, rest, _ := strings.Cut(words, "`")
		if !found || !strings.HasPrefix(rest, " is an old name; hint: use `ctx.") {
			t.Fatalf("%q", text)
		}
		names[index] = name
	}
	return names
}

func TestANodeOverJSON(t *testing.T) {
	plain := func(ctx *HandlerContext, data []byte) (interface{}, error) {
		input := oldInput{}
		if err := json.Unmarshal(data, &input); err != nil {
			return nil, err
		}
		return oldOutput{Greeting: fmt.Sprintf("%s %s!", ctx.Get("greeting"), input.Name)}, nil
	}
	for _, handler := range []interface{}{plain, JSONHandler(plain)} {
		engine := startJSON(t, func(ctx *HandlerContext) { ctx.Set("greeting", "Hello") }, handler)
		for id, row := range []struct {
			data, last string
			status     frame.Status
		}{
			{`{"name":"Ada"}`, `{"greeting":"Hello Ada!"}`, frame.Answer},
			{`{"name":"é","more":[1,9007199254740993]}`, `{"greeting":"Hello é!"}`, frame.Answer},
		} {
			deliverPlain(engine, uint32(id+1), row.data)
			result := engine.Result()
			expect(t, result.Status, row.status)
			expect(t, string(result.Last), row.last)
		}
		deliverPlain(engine, 3, `{"name":5}`)
		engine.Log()
		result := engine.Result()
		expect(t, result.Status, frame.Error)
		expect(t, strings.Contains(string(result.Last), "cannot unmarshal number"), true)
		stop(t, engine)
	}
}

func TestResultsOfJSONHandlers(t *testing.T) {
	for _, row := range []struct {
		name   string
		answer interface{}
		err    error
		status frame.Status
		last   string
	}{
		{"map", map[string]int{"a": 1}, nil, frame.Answer, `{"a":1}`},
		{"raw JSON", json.RawMessage(`{"a": [1]}`), nil, frame.Answer, `{"a":[1]}`},
		{"pointer", &oldOutput{"x"}, nil, frame.Answer, `{"greeting":"x"}`},
		{"text", "x", nil, frame.Answer, `"x"`},
		{"nil", nil, nil, frame.None, ""},
		{"nil pointer", (*oldOutput)(nil), nil, frame.None, ""},
		{"error", oldOutput{"x"}, errors.New("no"), frame.Error, "no"},
	} {
		t.Run(row.name, func(t *testing.T) {
			engine := startJSON(t, nil, func(*HandlerContext, []byte) (interface{}, error) { return row.answer, row.err })
			deliverPlain(engine, 1, "{}")
			if row.err != nil {
				engine.Log()
			}
			result := engine.Result()
			expect(t, result.Status, row.status)
			expect(t, strings.ReplaceAll(string(result.Last), " ", ""), row.last)
			stop(t, engine)
		})
	}
}

func TestAHandlerOverJSONNeedsItsPayload(t *testing.T) {
	engine := begin(t, enginetest.Hello(), nil, func(*HandlerContext, []byte) (interface{}, error) { return nil, nil })
	why := string(engine.Await(frame.Broken).Body)
	expect(t, strings.Contains(why, "`payload: json`") && strings.Contains(why, "node `etl`"), true)
	expect(t, strings.Contains(why, "hint: change it in krt.yml"), true)
	expect(t, engine.Status(), worker.CannotStart)
	var nothing JSONHandler
	engine = begin(t, enginetest.Hello(), nil, nothing)
	expect(t, strings.Contains(string(engine.Await(frame.Broken).Body), "nil as handler"), true)
	expect(t, engine.Status(), worker.CannotStart)
}

func TestOldNamesWorkWithOneWarning(t *testing.T) {
	day := time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
	use := func(ctx *HandlerContext) string {
		ctx.SetValue("any", 5)
		ctx.SetValueString("text", "x")
		ctx.SetValueInt("int", 7)
		ctx.SetValueFloat("float", 0.5)
		return fmt.Sprint(ctx.GetValue("any"), ctx.GetValueString("text"), ctx.GetValueInt("int"),
			ctx.GetValueFloat("float"), strings.HasSuffix(ctx.GetPath("models/m"), "/models/m"))
	}
	engine := startJSON(t, nil, func(ctx *HandlerContext, data []byte) (interface{}, error) {
		if string(data) == `"store"` {
			ctx.SaveMetric(day, "a", "b")
			ctx.SaveMetricError(ErrNewLabels)
			ctx.Metrics.Save(day, "a", "b")
			ctx.Metrics.SaveError(ErrMissingValues)
			if err := ctx.SaveData("things", map[string]int{"n": 1}); err != nil {
				return nil, err
			}
			var found []map[string]int
			return "stored", ctx.GetData("things", QueryData{"n": 1}, &found)
		}
		return use(ctx), nil
	})
	deliverPlain(engine, 1, "{}")
	expect(t, fmt.Sprint(warned(t, engine, 9)),
		"[SetValue SetValueString SetValueInt SetValueFloat GetValue GetValueString GetValueInt GetValueFloat GetPath]")
	for id := uint32(1); id <= 3; id++ {
		expect(t, string(engine.Result().Last), `"5x7 0.5 true"`)
		deliverPlain(engine, id+1, "{}")
	}
	expect(t, string(engine.Result().Last), `"5x7 0.5 true"`)

	deliverPlain(engine, 5, `"store"`)
	calls := []struct {
		name string
		kind frame.Kind
	}{
		{"SaveMetric", frame.Save}, {"SaveMetricError", frame.Save}, {"Metrics.Save", frame.Save},
		{"Metrics.SaveError", frame.Save}, {"SaveData", frame.Save}, {"GetData", frame.Find},
	}
	for _, call := range calls {
		expect(t, warned(t, engine, 1)[0], call.name)
		engine.Send(frame.Done, engine.Await(call.kind).ID, nil)
	}
	expect(t, string(engine.Result().Last), `"stored"`)
	deliverPlain(engine, 6, `"store"`)
	for _, call := range calls {
		engine.Send(frame.Done, engine.Await(call.kind).ID, nil)
	}
	expect(t, string(engine.Result().Last), `"stored"`)
	stop(t, engine)
}
