package main

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"

	"github.com/konstellation-io/kre-runners/kre-go/v2"
	"google.golang.org/protobuf/proto"

	"conformance/pb"
)

var day = time.Date(2024, 2, 29, 12, 30, 15, 250_000_000, time.UTC)

var effects = map[string]act{
	"save_document":  saveDocument,
	"find_documents": findDocuments,
	"wrong":          wrong,
	"measure":        measure,
	"predict":        predict,
	"update": func(ctx *kre.HandlerContext, order *pb.Order) (proto.Message, error) {
		return answer("updated"), ctx.Prediction.Update(order.Text, "dog")
	},
	"speak": speak,
	"reply": func(ctx *kre.HandlerContext, order *pb.Order) (proto.Message, error) {
		err := ctx.EarlyReply(&pb.Answer{Text: "early"})
		until("go")
		return on(order, ""), err
	},
	"old_reply": func(ctx *kre.HandlerContext, order *pb.Order) (proto.Message, error) {
		return on(order, ""), ctx.Reply(&pb.Answer{Text: "early, by its old name"})
	},
	"reply_twice": func(ctx *kre.HandlerContext, order *pb.Order) (proto.Message, error) {
		first := ctx.EarlyReply(&pb.Answer{Text: "once"})
		put("second reply", fmt.Sprint(ctx.EarlyReply(&pb.Answer{Text: "twice"})))
		return on(order, ""), first
	},
	"reply_and_fail": func(ctx *kre.HandlerContext, _ *pb.Order) (proto.Message, error) {
		if err := ctx.EarlyReply(&pb.Answer{Text: "early"}); err != nil {
			return nil, err
		}
		return nil, errors.New("after the answer")
	},
	"exit": func(ctx *kre.HandlerContext, _ *pb.Order) (proto.Message, error) {
		ctx.SetEarlyExit()
		return answer("out"), nil
	},
	"reply_and_exit": func(ctx *kre.HandlerContext, _ *pb.Order) (proto.Message, error) {
		ctx.SetEarlyExit()
		return answer("dropped"), ctx.EarlyReply(&pb.Answer{Text: "early"})
	},
}

func saveDocument(ctx *kre.HandlerContext, _ *pb.Order) (proto.Message, error) {
	document := map[string]interface{}{
		"text": "naïve ☃", "whole": 7, "large": int64(1<<53 + 1), "real": 7.0, "yes": true, "nothing": nil,
		"date": day, "bytes": []byte("\x00\xff"), "inner": map[string]interface{}{"a": "deep"},
	}
	if err := ctx.DB.Save("things", document); err != nil {
		return nil, err
	}
	type thing struct {
		Text  string
		Whole int
		Large int64
		Real  float64
		Yes   bool
		Date  time.Time
		Bytes []byte
		Inner struct{ A string }
	}
	var found []thing
	if err := ctx.DB.Find("things", kre.QueryData{"inner.a": "deep"}, &found); err != nil {
		return nil, err
	}
	expected := thing{"naïve ☃", 7, 1<<53 + 1, 7, true, day, []byte("\x00\xff"), struct{ A string }{"deep"}}
	return list(reflect.DeepEqual(found, []thing{expected}))
}

func findDocuments(ctx *kre.HandlerContext, _ *pb.Order) (proto.Message, error) {
	type number struct {
		Number int  `json:"number" bson:"number"`
		Even   bool `json:"even" bson:"even"`
	}
	for count := 0; count < 5; count++ {
		if err := ctx.DB.Save("numbers", number{count, count%2 == 0}); err != nil {
			return nil, err
		}
	}
	var counts []interface{}
	for _, query := range []kre.QueryData{
		{"even": true}, {"number": map[string]int{"$gt": 1}}, {"number": 9}, {"even": map[string]bool{"$exists": true}},
	} {
		var found []number
		if err := ctx.DB.Find("numbers", query, &found); err != nil {
			return nil, err
		}
		counts = append(counts, len(found))
	}
	var starts []map[string]interface{}
	err := ctx.DB.Find("starts", kre.QueryData{"node": "worker"}, &starts)
	if err != nil {
		return nil, err
	}
	return list(append(counts, len(starts))...)
}

func wrong(ctx *kre.HandlerContext, order *pb.Order) (proto.Message, error) {
	var found []map[string]interface{}
	switch order.Text {
	case "save without collection":
		return nil, ctx.DB.Save("", map[string]interface{}{})
	case "save a list":
		return nil, ctx.DB.Save("c", []int{1})
	case "save a channel":
		return nil, ctx.DB.Save("c", map[string]interface{}{"a": map[string]interface{}{"b": make(chan int)}})
	case "find without collection":
		return nil, ctx.DB.Find("", kre.QueryData{"a": 1}, &found)
	case "find without query":
		return nil, ctx.DB.Find("c", nil, &found)
	case "find by nonsense":
		return nil, ctx.DB.Find("c", kre.QueryData{"a": map[string]int{"$nope": 1}}, &found)
	}
	return nil, errors.New("nothing is wrong")
}

func measure(ctx *kre.HandlerContext, _ *pb.Order) (proto.Message, error) {
	save := ctx.Measurement.Save
	save("kinds", map[string]interface{}{"text": "a", "whole": 1, "real": 1.5, "one": 1.0, "yes": true},
		map[string]string{"tag": "t"})
	save("own tags", map[string]interface{}{"n": 1}, map[string]string{"node": "mine", "version": "mine", "workflow": "mine"})
	save("partly", map[string]interface{}{"good": 1, "map": map[string]int{}, "nan": math.NaN()}, nil)
	save("", map[string]interface{}{"n": 1}, nil)
	return answer("measured"), nil
}

func predict(ctx *kre.HandlerContext, _ *pb.Order) (proto.Message, error) {
	ctx.Prediction.Save(day, "cat", "dog")
	ctx.Prediction.SaveError(kre.ErrMissingValues)
	ctx.Prediction.SaveError(kre.ErrNewLabels)
	ctx.Prediction.SavePending(day, "cat")
	ctx.Prediction.Save(day, "", "dog")
	ctx.Prediction.SaveError("other")
	return answer("predicted"), nil
}

func speak(ctx *kre.HandlerContext, order *pb.Order) (proto.Message, error) {
	ctx.Logger.Debug("a debug record")
	ctx.Logger.Infof("an %s record", "info")
	ctx.Logger.Warn("a warning")
	ctx.Logger.Errorf("an error record: %d", 7)
	fmt.Println("a printed line")
	for number := int64(0); number < order.Number; number++ {
		ctx.Logger.Infof("record %d", number)
	}
	return answer("spoken"), nil
}
