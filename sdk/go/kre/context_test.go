package kre

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/konstellation-io/krt/sdk/go/internal/enginetest"
	"github.com/konstellation-io/krt/sdk/go/internal/frame"
)

// act is a handler that only uses its context.
func act(do func(*HandlerContext) error) newHandler {
	return func(ctx *HandlerContext, _ *anypb.Any) (proto.Message, error) {
		if err := do(ctx); err != nil {
			return nil, err
		}
		return wrapperspb.String("done"), nil
	}
}

// done reads the RESULT of a successful act.
func done(t *testing.T, engine *enginetest.Engine) {
	t.Helper()
	result := engine.Result()
	if result.Status != frame.Answer {
		t.Fatalf("it failed: %q", result.Last)
	}
	stop(t, engine)
}

func TestValuesAreShared(t *testing.T) {
	engine := start(t, func(ctx *HandlerContext) {
		ctx.Set("text", "kept")
		ctx.Set("whole", 7)
		ctx.Set("real", 0.5)
	}, act(func(ctx *HandlerContext) error {
		got := fmt.Sprintln(ctx.GetString("text"), ctx.GetInt("whole"), ctx.GetFloat("real"), ctx.Get("text"))
		if got != "kept 7 0.5 kept\n" {
			return errors.New(got)
		}
		missing := fmt.Sprintln(ctx.Get("none"), ctx.GetString("whole"), ctx.GetInt("text"), ctx.GetFloat("none"))
		if missing != "<nil>  -1 -1\n" {
			return errors.New(missing)
		}
		return nil
	}))
	engine.Deliver(1, false, wrapperspb.String(""))
	for _, expected := range []string{
		"1 1 no value is kept for 'none', got nil",
		`1 1 the value for 'whole' is no string, got ""`,
		"1 1 the value for 'text' is no int, got -1",
		"1 1 no value is kept for 'none', got nil",
		"1 1 the value for 'none' is no float64, got -1.0",
	} {
		expect(t, engine.Log(), expected)
	}
	done(t, engine)
}

func TestPathsAreBelowThePackage(t *testing.T) {
	engine := handle(t, act(func(ctx *HandlerContext) error {
		if got := ctx.Path("./models/../models/a.bin"); got != "/package/models/a.bin" {
			return errors.New(got)
		}
		return nil
	}))
	done(t, engine)
}

func TestLogs(t *testing.T) {
	for level, expected := range map[string][]string{
		"DEBUG": {"0 1 d", "0 1 d 1", "1 1 i", "1 1 i 2", "2 1 w", "2 1 w 3", "3 1 e", "3 1 e 4"},
		"WARN":  {"2 1 w", "2 1 w 3", "3 1 e", "3 1 e 4"},
		"ERROR": {"3 1 e", "3 1 e 4"},
	} {
		hello := enginetest.Hello()
		hello["log_level"] = level
		engine := begin(t, hello, nil, act(func(ctx *HandlerContext) error {
			ctx.Logger.Debug("d")
			ctx.Logger.Debugf("d %d", 1)
			ctx.Logger.Info("i")
			ctx.Logger.Infof("i %d", 2)
			ctx.Logger.Warn("w")
			ctx.Logger.Warnf("w %d", 3)
			ctx.Logger.Error("e")
			ctx.Logger.Errorf("e %d", 4)
			return nil
		}))
		engine.Ready()
		engine.Deliver(1, false, wrapperspb.String(""))
		for _, line := range expected {
			expect(t, engine.Log(), line)
		}
		done(t, engine)
	}
}

func TestLongRecordsAreCut(t *testing.T) {
	engine := handle(t, act(func(ctx *HandlerContext) error {
		ctx.Logger.Info(strings.Repeat("☃", 200_000))
		return nil
	}))
	log := engine.Await(frame.Log)
	expect(t, len(log.Body) <= frame.MaxLog-frame.Counted, true)
	expect(t, strings.HasSuffix(string(log.Body), "☃ … (cut: there were 600000 bytes)"), true)
	done(t, engine)
}

func TestTheContextOfInitRefersToTheCurrentMessage(t *testing.T) {
	var kept *HandlerContext
	engine := begin(t, enginetest.Hello(), func(ctx *HandlerContext) {
		kept = ctx
		ctx.Logger.Info("in init")
	}, act(func(*HandlerContext) error {
		kept.Logger.Info("in a handler")
		kept.SetEarlyExit()
		return nil
	}))
	expect(t, engine.Log(), "1 0 in init")
	engine.Ready()
	engine.Deliver(1, false, wrapperspb.String(""))
	expect(t, engine.Log(), "1 1 in a handler")
	expect(t, engine.Result().EarlyExit, true)
	stop(t, engine)
}

func TestEarlyReply(t *testing.T) {
	t.Run("once", func(t *testing.T) {
		engine := handle(t, act(func(ctx *HandlerContext) error {
			if err := ctx.EarlyReply(wrapperspb.String("early")); err != nil {
				return err
			}
			if err := ctx.Reply(wrapperspb.String("twice")); !errors.Is(err, ErrReplied) {
				return fmt.Errorf("not refused: %w", err)
			}
			return nil
		}))
		text := &wrapperspb.StringValue{}
		enginetest.Unpack(t, engine.Await(frame.EarlyReply).Body, text)
		expect(t, text.Value, "early")
		done(t, engine)
	})
	rows := []struct {
		name    string
		replied bool
		message Message
		words   string
	}{
		{"after another node's", true, wrapperspb.String(""), "error the message was replied previously"},
		{"with nothing", false, nil, "[ctx.early_reply] there is nothing to reply with; hint: build a message of the `.proto`, " +
			"or a map where the node has `payload: json`"},
		{"with a map", false, map[string]int{"a": 1}, "a protobuf message was expected, not \"map[a:1]\" of type " +
			"`map[string]int`; hint: give the node `payload: json` in krt.yml to work with plain data"},
		{"with no message", false, 7, "a protobuf message was expected, not \"7\" of type `int`; hint: build a " +
			"message of the `.proto` and return that"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			engine := start(t, nil, act(func(ctx *HandlerContext) error { return ctx.EarlyReply(row.message) }))
			engine.Deliver(1, row.replied, wrapperspb.String(""))
			engine.Log()
			expect(t, string(engine.Result().Last), row.words)
			stop(t, engine)
		})
	}
	t.Run("in init", func(t *testing.T) {
		engine := begin(t, enginetest.Hello(), func(ctx *HandlerContext) {
			panic(ctx.EarlyReply(wrapperspb.String("")))
		}, newHandler(echo))
		words, _, _ := strings.Cut(string(engine.Await(frame.Broken).Body), "\n")
		expect(t, words, "panic: [ctx.early_reply] there is no request in `init`; hint: call it in `handler`")
	})
}

func TestWorkAfterTheHandlerKeepsItsRequest(t *testing.T) {
	contexts := make(chan *HandlerContext, 1)
	engine := handle(t, act(func(ctx *HandlerContext) error {
		contexts <- ctx
		return nil
	}))
	engine.Result()
	ctx := <-contexts
	ctx.Logger.Info("late")
	expect(t, engine.Log(), "1 1 late")
	expect(t, ctx.EarlyReply(wrapperspb.String("")).Error(),
		"[ctx.early_reply] there is no request after the handler has returned; hint: call it in `handler`")
	ctx.SetEarlyExit()
	expect(t, engine.Log(),
		"3 1 [ctx.early_exit] there is no request after the handler has returned; hint: call it in `handler`")
	stop(t, engine)
}

func TestEarlyExitAffectsOneRequest(t *testing.T) {
	first := true
	engine := handle(t, act(func(ctx *HandlerContext) error {
		if first {
			ctx.SetEarlyExit()
		}
		first = false
		return nil
	}))
	expect(t, engine.Result().EarlyExit, true)
	engine.Deliver(2, false, wrapperspb.String(""))
	expect(t, engine.Result().EarlyExit, false)
	stop(t, engine)
}

func TestSave(t *testing.T) {
	engine := handle(t, act(func(ctx *HandlerContext) error {
		if err := ctx.DB.Save("things", map[string]interface{}{"a": 1}); err != nil {
			return err
		}
		err := ctx.DB.Save("things", struct {
			Name string `json:"name"`
		}{"x"})
		if err == nil || err.Error() != "[ctx.db.save] error saving the document: the disk is full" {
			return fmt.Errorf("not refused: %w", err)
		}
		return nil
	}))
	first := engine.Await(frame.Save)
	expect(t, string(first.Body), `{"delivery":1,"collection":"things","document":{"a":1}}`)
	engine.Send(frame.Done, first.ID, nil)
	second := engine.Await(frame.Save)
	expect(t, string(second.Body), `{"delivery":1,"collection":"things","document":{"name":"x"}}`)
	engine.Send(frame.Failed, second.ID, []byte("the disk is full"))
	done(t, engine)
}

func TestSaveInInit(t *testing.T) {
	engine := begin(t, enginetest.Hello(), func(ctx *HandlerContext) {
		if err := ctx.DB.Save("starts", map[string]int{"n": 1}); err != nil {
			panic(err)
		}
	}, newHandler(echo))
	save := engine.Await(frame.Save)
	expect(t, string(save.Body), `{"delivery":0,"collection":"starts","document":{"n":1}}`)
	engine.Send(frame.Done, save.ID, nil)
	engine.Ready()
	engine.Deliver(1, false, wrapperspb.String(""))
	done(t, engine)
}

func TestFind(t *testing.T) {
	type thing struct {
		Name  string
		Count int
		Made  time.Time `bson:"made_at"`
	}
	var things []thing
	engine := handle(t, act(func(ctx *HandlerContext) error {
		return ctx.DB.Find("things", QueryData{"name": "x"}, &things)
	}))
	find := engine.Await(frame.Find)
	expect(t, string(find.Body), `{"delivery":1,"collection":"things","query":{"name":"x"}}`)
	engine.Send(frame.Document, find.ID, []byte(`{"_id":{"$oid":"65e0"},"name":"x","count":3}`))
	engine.Send(frame.Document, find.ID, []byte(`{"name":"y","made_at":{"$date":"2024-02-29T12:30:15.25Z"}}`))
	// A message that arrives meanwhile waits.
	engine.Deliver(2, false, wrapperspb.String(""))
	engine.Send(frame.Done, find.ID, nil)
	expect(t, engine.Result().Status, frame.Answer)
	expect(t, fmt.Sprint(things), fmt.Sprint([]thing{{"x", 3, time.Time{}}, {"y", 0, enginetest.Now}}))
	expect(t, engine.Await(frame.Find).ID != find.ID, true)
	engine.Close()
	expect(t, engine.Status(), 0)
}

func TestCallsOfManyGoroutines(t *testing.T) {
	const many = 20
	engine := handle(t, act(func(ctx *HandlerContext) error {
		failures := make(chan error, many)
		for number := 0; number < many; number++ {
			go func(number int) { failures <- ctx.DB.Save("c", map[string]int{"n": number}) }(number)
		}
		for number := 0; number < many; number++ {
			if err := <-failures; err != nil {
				return err
			}
		}
		return nil
	}))
	for number := 0; number < many; number++ {
		engine.Send(frame.Done, engine.Await(frame.Save).ID, nil)
	}
	done(t, engine)
}

func TestWrongArguments(t *testing.T) {
	var things []map[string]interface{}
	rows := []struct {
		do    func(*HandlerContext) error
		words string
	}{
		{func(ctx *HandlerContext) error { return ctx.DB.Save("", map[string]int{}) },
			"[ctx.db.save] invalid 'collection'='', must be a nonempty string"},
		{func(ctx *HandlerContext) error { return ctx.DB.Save("c", []int{1}) },
			"[ctx.db.save] invalid 'data'='[1]', must be a map or a struct"},
		{func(ctx *HandlerContext) error {
			return ctx.DB.Save("c", map[string]interface{}{"a": map[string]interface{}{"b": make(chan int)}})
		}, "`a.b` is a `chan int`, which cannot be stored; hint: store its fields, or its text"},
		{func(ctx *HandlerContext) error { return ctx.DB.Find("", QueryData{"a": 1}, &things) },
			"[ctx.db.find] invalid 'collection'='', must be a nonempty string"},
		{func(ctx *HandlerContext) error { return ctx.DB.Find("c", QueryData{}, &things) },
			"[ctx.db.find] invalid 'query'='map[]', must be a nonempty dict"},
		{func(ctx *HandlerContext) error { return ctx.DB.Find("c", QueryData{"a": 1}, things) },
			"[ctx.db.find] invalid 'res' of type `[]map[string]interface {}`, must be a pointer to a slice"},
		{func(ctx *HandlerContext) error {
			return ctx.DB.Save("c", map[string]string{"a": strings.Repeat("x", 1<<20)})
		}, "[ctx.db.save] error saving the document: it has 1048612 bytes, more than the limit of 1048547 bytes"},
	}
	for _, row := range rows {
		engine := handle(t, act(row.do))
		engine.Log()
		expect(t, string(engine.Result().Last), row.words)
		stop(t, engine)
	}
}

func TestPredictions(t *testing.T) {
	zone := time.FixedZone("there", 3600)
	engine := handle(t, act(func(ctx *HandlerContext) error {
		ctx.Prediction.Save(time.Date(2024, 1, 2, 4, 4, 5, 600_000_000, zone), "cat", "dog")
		ctx.Prediction.SaveError(ErrNewLabels)
		ctx.Prediction.Save(enginetest.Now, "", "b")
		ctx.Prediction.Save(enginetest.Now, "a", "")
		ctx.Prediction.SaveError("other")
		return nil
	}))
	for _, document := range []string{
		`{"date":"2024-01-02T03:04:05.600000Z","error":"","predictedValue":"cat","trueValue":"dog",` +
			`"extra":null,"versionId":"v1-id","versionName":"v1","requestId":"request-1"}`,
		`{"date":"2024-02-29T12:30:15.250000Z","error":"new_labels","predictedValue":"","trueValue":"",` +
			`"extra":null,"versionId":"v1-id","versionName":"v1","requestId":"request-1"}`,
	} {
		save := engine.Await(frame.Save)
		expect(t, string(save.Body), `{"delivery":1,"collection":"classificationMetrics","document":`+document+"}")
		engine.Send(frame.Done, save.ID, nil)
	}
	for _, words := range []string{
		"[ctx.prediction.save] invalid 'predicted_value'='', must be a nonempty string",
		"[ctx.prediction.save] invalid 'true_value'='', must be a nonempty string",
		"[ctx.prediction.save] invalid value for metric error other should be one of 'missing_values,new_labels'",
	} {
		expect(t, engine.Log(), "3 1 "+words)
	}
	done(t, engine)
}

func TestPredictionsWithALaterTrueValue(t *testing.T) {
	engine := handle(t, act(func(ctx *HandlerContext) error {
		ctx.Prediction.SavePending(enginetest.Now, "cat")
		return ctx.Prediction.Update("request-0", "dog")
	}))
	for _, saved := range []string{
		`"classificationMetrics","document":{"date":"2024-02-29T12:30:15.250000Z","error":"","predictedValue":"cat",` +
			`"trueValue":"","extra":null,"versionId":"v1-id","versionName":"v1","requestId":"request-1"}`,
		`"classificationMetricsUpdates","document":{"requestId":"request-0","trueValue":"dog",` +
			`"date":"2024-02-29T12:30:15.250000Z"}`,
	} {
		save := engine.Await(frame.Save)
		expect(t, string(save.Body), `{"delivery":1,"collection":`+saved+"}")
		engine.Send(frame.Done, save.ID, nil)
	}
	done(t, engine)
}

func TestMeasurements(t *testing.T) {
	type named string
	whole := 3
	engine := handle(t, act(func(ctx *HandlerContext) error {
		ctx.Measurement.Save("kinds", map[string]interface{}{
			"text": "a\"b", "named": named("n"), "whole": whole, "pointer": &whole, "small": int8(-1),
			"unsigned": uint16(9), "real": 1.5, "single": float32(0.1), "one": 1.0, "yes": true,
		}, map[string]string{"tag": "t"})
		ctx.Measurement.Save("partly", map[string]interface{}{
			"good": 1, "map": map[string]int{}, "nan": math.NaN(), "large": uint64(math.MaxUint64), "nil": nil,
			"": 1, "text": "\xff",
		}, map[string]string{"": "x"})
		ctx.Measurement.Save("", map[string]interface{}{"n": 1}, nil)
		ctx.Measurement.Save("empty", nil, nil)
		return nil
	}))
	start := "2 1 [ctx.measurement.save] measurement "
	first := engine.Await(frame.Measurement)
	for _, words := range []string{
		"`partly`: its field `` is left out: its name must be a nonempty text",
		"`partly`: its field `large` is left out: it is an integer of more than 64 bits",
		"`partly`: its field `map` is left out: it is map[], a `map[string]int`, not a text, a number or a boolean",
		"`partly`: its field `nan` is left out: it is NaN",
		"`partly`: its field `nil` is left out: it is <nil>, a `<nil>`, not a text, a number or a boolean",
		"`partly`: its field `text` is left out: it is no valid text: it is not UTF-8",
		"`partly`: its tag `` is left out: its name must be a nonempty text",
	} {
		expect(t, engine.Log(), start+words)
	}
	second := engine.Await(frame.Measurement)
	expect(t, engine.Log(), start+"``: it is not saved: its name must be a nonempty text")
	expect(t, engine.Log(), start+"`empty`: it is not saved: it has no field left")
	expect(t, fmt.Sprint(first.ID, second.ID), "1 1")
	time := fmt.Sprint(enginetest.Now.UnixNano())
	expect(t, string(first.Body), `{"measurement":"kinds","fields":{"named":"n","one":1.0,"pointer":3,"real":1.5,`+
		`"single":0.1,"small":-1,"text":"a\"b","unsigned":9,"whole":3,"yes":true},"tags":{"tag":"t"},"time":`+time+"}")
	expect(t, string(second.Body), `{"measurement":"partly","fields":{"good":1},"tags":{},"time":`+time+"}")
	expect(t, json.Valid(first.Body), true)
	done(t, engine)
}

func TestMeasurementsAreSentDuringTheHandler(t *testing.T) {
	release := make(chan struct{})
	engine := handle(t, act(func(ctx *HandlerContext) error {
		ctx.Measurement.Save("m", map[string]interface{}{"n": 1}, nil)
		<-release
		return nil
	}))
	engine.Await(frame.Measurement)
	close(release)
	done(t, engine)
}
