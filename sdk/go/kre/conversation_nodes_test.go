package kre

import (
	"encoding/hex"
	"errors"
	"math"
	"sort"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// conversationTime is the date that the handlers of conversations save.
var conversationTime = time.Date(2024, 2, 29, 12, 30, 15, 250_000_000, time.UTC)

type plainData = map[string]interface{}

// conversationInits are the inits that protocol/conversations lists.
var conversationInits = map[string]HandlerInit{
	"keep": func(ctx *HandlerContext) {
		ctx.Logger.Info("in init")
		ctx.Set("word", "kept")
	},
	"save": func(ctx *HandlerContext) {
		if err := ctx.DB.Save("starts", map[string]int{"n": 1}); err != nil {
			panic(err)
		}
	},
	"fail": func(*HandlerContext) { panic("no model") },
	"reply": func(ctx *HandlerContext) {
		if err := ctx.EarlyReply(wrapperspb.String("early")); err != nil {
			panic(err)
		}
	},
}

// conversationHandlers returns the handlers that protocol/conversations lists.
func conversationHandlers() map[string]interface{} {
	return map[string]interface{}{
		"echo":  newHandler(echo),
		"same":  func(_ *HandlerContext, data *anypb.Any) (proto.Message, error) { return data, nil },
		"none":  func(*HandlerContext, *anypb.Any) (proto.Message, error) { return nil, nil },
		"late":  newLate(),
		"error": textHandler(func(_ *HandlerContext, text string) (string, error) { return "", errors.New(text) }),
		"crash": textHandler(crash),
		"large": textHandler(func(_ *HandlerContext, text string) (string, error) {
			size, err := strconv.Atoi(text)
			return strings.Repeat("x", size), err
		}),
		"early":           textHandler(early),
		"stream":          newHandler(stream),
		"plain_stream":    plainStream,
		"log":             then(logAtEachLevel),
		"measure":         then(measure),
		"measure_badly":   then(measureBadly),
		"save":            textHandler(save),
		"save_kinds":      textHandler(saveKinds),
		"save_nowhere":    textHandler(saveNowhere),
		"copy":            textHandler(copyThings),
		"find_everything": textHandler(findEverything),
		"predict": then(func(ctx *HandlerContext, _ string) {
			ctx.Prediction.Save(conversationTime, "cat", "dog")
		}),
		"predict_later": textHandler(func(ctx *HandlerContext, text string) (string, error) {
			ctx.Prediction.SavePending(conversationTime, "cat")
			return text, ctx.Prediction.Update(text, "dog")
		}),
		"predict_wrongly": then(func(ctx *HandlerContext, _ string) {
			ctx.Prediction.Save(conversationTime, "", "dog")
			ctx.Prediction.Save(conversationTime, "cat", "")
			ctx.Prediction.SaveError("other")
			ctx.Prediction.SavePending(conversationTime, "")
			for _, update := range [][2]string{{"", "dog"}, {"r-1", ""}} {
				if err := ctx.Prediction.Update(update[0], update[1]); err != nil {
					ctx.Logger.Error(err.Error())
				}
			}
		}),
		"path": textHandler(func(ctx *HandlerContext, text string) (string, error) { return ctx.Path(text), nil }),
		"trace": textHandler(func(ctx *HandlerContext, _ string) (string, error) {
			var headers []string
			for name, value := range ctx.TraceHeaders() {
				headers = append(headers, name+"="+value)
			}
			sort.Strings(headers)
			return strings.Join(headers, " "), nil
		}),
		"request_id": textHandler(func(ctx *HandlerContext, _ string) (string, error) { return ctx.RequestID(), nil }),

		"deadline": textHandler(deadline),
		"metadata": textHandler(func(ctx *HandlerContext, text string) (string, error) {
			var lines []string
			for _, name := range strings.Fields(text) {
				lines = append(lines, sent(ctx, name))
			}
			return strings.Join(lines, "\n"), nil
		}),

		"kept": textHandler(func(ctx *HandlerContext, _ string) (string, error) { return ctx.GetString("word"), nil }),
		"wait": textHandler(wait),

		"plain_same":  func(_ *HandlerContext, data plainData) (plainData, error) { return data, nil },
		"plain_none":  func(*HandlerContext, plainData) (plainData, error) { return nil, nil },
		"plain_early": plainEarly,
		"plain_unfit": plainUnfit,

		"batch":            batchHandler(actOnBatch),
		"batch_wait":       batchHandler(waitForBatch),
		"batch_request_id": batchHandler(requestIDs),
		"batch_metadata":   batchHandler(metadataOfItems),
		"batch_deadline":   batchHandler(deadlines),
		"plain_batch":      addCount,
	}
}

func actOnBatch(ctx *BatchContext, data []*anypb.Any) ([]Answer, error) {
	words := texts(data)
	ctx.Logger.Info("together")
	left := len(words)
	for _, word := range words {
		switch word {
		case "fail":
			return nil, errors.New("poison")
		case "few":
			left = len(words) - 1
		}
	}
	var answers []Answer
	for index, word := range words[:left] {
		answers = append(answers, actOnItem(ctx.Items[index], word, len(words)))
	}
	return answers, nil
}

func actOnItem(ctx *HandlerContext, word string, count int) Answer {
	switch word {
	case "error":
		return Answer{Err: errors.New("no")}
	case "none":
		return Answer{}
	}
	ctx.Logger.Info(word)
	var err error
	switch word {
	case "reply":
		err = ctx.EarlyReply(wrapperspb.String("early"))
	case "exit":
		ctx.SetEarlyExit()
	}
	return Answer{Message: wrapperspb.String(word + " of " + strconv.Itoa(count)), Err: err}
}

func waitForBatch(ctx *BatchContext, _ []*anypb.Any) ([]Answer, error) {
	done := ctx.Context().Done()
	ctx.Logger.Info("waiting")
	<-done
	return nil, ctx.Context().Err()
}

func requestIDs(ctx *BatchContext, data []*anypb.Any) ([]Answer, error) {
	answers := make([]Answer, len(data))
	for index, own := range ctx.Items {
		answers[index].Message = wrapperspb.String(own.RequestID())
	}
	return answers, nil
}

func deadlines(ctx *BatchContext, data []*anypb.Any) ([]Answer, error) {
	answers := make([]Answer, len(data))
	for index, own := range ctx.Items {
		answers[index].Message = wrapperspb.String(leftUntil(own.Deadline()))
	}
	return answers, nil
}

func deadline(ctx *HandlerContext, text string) (string, error) {
	if text == "reply" {
		if err := ctx.EarlyReply(wrapperspb.String(leftUntil(ctx.Deadline()))); err != nil {
			return "", err
		}
	}
	return leftUntil(ctx.Deadline()), nil
}

// leftUntil returns a word for a deadline.
func leftUntil(left time.Duration, waits bool) string {
	switch {
	case !waits:
		return "none"
	case left > 0:
		return "left"
	default:
		return "past"
	}
}

func metadataOfItems(ctx *BatchContext, data []*anypb.Any) ([]Answer, error) {
	answers := make([]Answer, len(data))
	for index, name := range texts(data) {
		answers[index].Message = wrapperspb.String(sent(ctx.Items[index], name))
	}
	return answers, nil
}

// sent is what the client sent under a name, as a line.
func sent(ctx *HandlerContext, name string) string {
	var found []string
	for _, value := range ctx.Metadata().Binary(name) {
		found = append(found, hex.EncodeToString(value))
	}
	if len(found) > 0 {
		return strings.Join(found, ",")
	}
	if values := ctx.Metadata().Values(name); len(values) > 0 {
		return ctx.Metadata().Get(name) + " (" + strconv.Itoa(len(values)) + ")"
	}
	return "none"
}

func addCount(_ *BatchContext, data []map[string]interface{}) ([]Answer, error) {
	answers := make([]Answer, len(data))
	for index, item := range data {
		answers[index].Message = plainData{"n": item["n"].(float64) + float64(len(data))}
	}
	return answers, nil
}

// textHandler is a handler from string to string.
func textHandler(do func(ctx *HandlerContext, text string) (string, error)) newHandler {
	return func(ctx *HandlerContext, data *anypb.Any) (proto.Message, error) {
		request := &wrapperspb.StringValue{}
		if err := data.UnmarshalTo(request); err != nil {
			return nil, err
		}
		answer, err := do(ctx, request.Value)
		return wrapperspb.String(answer), err
	}
}

// then is a handler that runs do and echoes its input.
func then(do func(ctx *HandlerContext, text string)) newHandler {
	return textHandler(func(ctx *HandlerContext, text string) (string, error) {
		do(ctx, text)
		return text, nil
	})
}

func crash(_ *HandlerContext, text string) (string, error) {
	var empty []string
	if text == "crash" {
		return empty[3], nil
	}
	return text, nil
}

func stream(ctx *HandlerContext, data *anypb.Any) (proto.Message, error) {
	text := &wrapperspb.StringValue{}
	if err := data.UnmarshalTo(text); err != nil {
		return nil, err
	}
	for _, word := range strings.Fields(text.Value) {
		var err error
		switch word {
		case "fail":
			err = errors.New("no more")
		case "last":
			return wrapperspb.String(word), nil
		case "reply":
			err = ctx.EarlyReply(wrapperspb.String("early"))
		default:
			err = ctx.Send(wrapperspb.String(word))
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func plainStream(ctx *HandlerContext, data map[string]interface{}) (map[string]interface{}, error) {
	for n := 1.0; n <= data["count"].(float64); n++ {
		if err := ctx.Send(map[string]interface{}{"n": n}); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func early(ctx *HandlerContext, text string) (string, error) {
	for _, word := range strings.Fields(text) {
		switch word {
		case "reply":
			if err := ctx.EarlyReply(wrapperspb.String("early")); err != nil {
				return "", err
			}
		case "exit":
			ctx.SetEarlyExit()
		}
	}
	return "done", nil
}

func plainEarly(ctx *HandlerContext, data plainData) (plainData, error) {
	for _, word := range data["do"].([]interface{}) {
		switch word {
		case "reply":
			if err := ctx.EarlyReply(map[string]string{"text": "early"}); err != nil {
				return nil, err
			}
		case "exit":
			ctx.SetEarlyExit()
		}
	}
	return plainData{"text": "done"}, nil
}

func plainUnfit(_ *HandlerContext, data plainData) (plainData, error) {
	var price interface{}
	if data["what"] != "nothing" {
		price = math.NaN()
	}
	return plainData{"items": []plainData{{"price": 1.5}, {"price": price}}}, nil
}

func logAtEachLevel(ctx *HandlerContext, text string) {
	ctx.Logger.Debug("debug " + text)
	ctx.Logger.Info("info " + text)
	ctx.Logger.Warn("warn " + text)
	ctx.Logger.Error("error " + text)
}

func newLate() newHandler {
	release, over := make(chan struct{}), make(chan struct{})
	return then(func(ctx *HandlerContext, text string) {
		if text == "release" {
			close(release)
			<-over
			return
		}
		go func() {
			defer close(over)
			<-release
			ctx.Logger.Info("late")
		}()
	})
}

func measure(ctx *HandlerContext, _ string) {
	ctx.Measurement.Save("estimates", map[string]interface{}{
		"count": 3, "price": 0.5, "sold": true, "text": `a "b" é`, "whole": 2.0,
	}, map[string]string{"kind": "flat"})
}

func measureBadly(ctx *HandlerContext, _ string) {
	ctx.Measurement.Save("estimates", map[string]interface{}{
		"good": 1, "map": map[string]int{}, "nan": math.NaN(),
	}, nil)
	ctx.Measurement.Save("", map[string]interface{}{"good": 1}, nil)
	ctx.Measurement.Save("empty", nil, nil)
}

func save(ctx *HandlerContext, text string) (string, error) {
	return text, ctx.DB.Save("things", map[string]string{"text": text})
}

func saveKinds(ctx *HandlerContext, text string) (string, error) {
	return text, ctx.DB.Save("kinds", map[string]interface{}{
		"binary":   []byte{0, 255},
		"date":     conversationTime,
		"deep":     map[string]interface{}{"list": []interface{}{1, 1.0, "1", []int{}, map[string]int{}}},
		"false":    false,
		"infinity": math.Inf(1),
		"large":    int64(1<<53 + 1),
		"negative": -1,
		"nothing":  nil,
		"real":     0.5,
		"text":     "é",
		"whole":    2.0,
	})
}

func saveNowhere(ctx *HandlerContext, text string) (string, error) {
	return text, ctx.DB.Save("", map[string]int{"n": 1})
}

func copyThings(ctx *HandlerContext, text string) (string, error) {
	var found []map[string]interface{}
	if err := ctx.DB.Find("things", QueryData{"kind": text}, &found); err != nil {
		return "", err
	}
	for _, document := range found {
		if err := ctx.DB.Save("copies", document); err != nil {
			return "", err
		}
	}
	return strconv.Itoa(len(found)), nil
}

func findEverything(ctx *HandlerContext, text string) (string, error) {
	var found []map[string]interface{}
	return text, ctx.DB.Find("things", QueryData{}, &found)
}

func wait(ctx *HandlerContext, _ string) (string, error) {
	watch := ctx.Context()
	ctx.Logger.Info("waiting")
	<-watch.Done()
	return "", watch.Err()
}
