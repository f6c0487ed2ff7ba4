package main

import (
	"fmt"

	"github.com/golang/protobuf/proto"
	"github.com/golang/protobuf/ptypes/any"
	"github.com/konstellation-io/kre/libs/simplelogger"
	"github.com/konstellation-io/kre/runners/kre-go"
	proto2 "google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

func handlerInit(ctx *kre.HandlerContext) {
	ctx.Logger.Info("init handler")
	// Saves a value in the context internal registry
	ctx.Set("greeting", "Hello")
}

func handler(ctx *kre.HandlerContext, data *any.Any) (proto.Message, error) {
	ctx.Logger.Info("[handler invoked]")
	req := &Request{}
	res := &EtlOutput{}
	err := anypb.UnmarshalTo(data, req, proto2.UnmarshalOptions{})
	if err != nil {
		return res, fmt.Errorf("invalid request: %s", err)
	}
	res.Component = req.Component
	saveEtlMetrics(ctx, req.Component)
	return res, nil
}

func saveEtlMetrics(ctx *kre.HandlerContext, component string) {
	greet(ctx.Logger, ctx.GetString("greeting"), component)
	fields := map[string]interface{}{"called_node": "etl"}
	ctx.Measurement.Save("etl_calls", fields, map[string]string{"component": component})
}

func greet(logger *simplelogger.SimpleLogger, greeting, component string) {
	logger.Infof("%s, %s", greeting, component)
}

func main() {
	kre.Start(handlerInit, handler)
}
