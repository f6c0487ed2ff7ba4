//go:build jetstream

package kre

import (
	"time"

	"github.com/nats-io/nats.go"
)

// subscribe receives messages like runners 2.1: from a stream, with answers to the entrypoint's subject.
func (r *runner) subscribe(input string) {
	stream, entrypoint := variable("KRT_NATS_STREAM"), variable("KRT_NATS_ENTRYPOINT_SUBJECT")
	js, err := r.conn.JetStream()
	if err != nil {
		choke("Error connecting to JetStream: %s", err)
	}
	r.isLast = variable("KRT_IS_LAST_NODE") == "true"
	r.reportsReply = true
	r.publish = func(subject string, data []byte) error {
		_, err := js.Publish(subject, data)
		return err
	}
	r.toClient = func(*KreNatsMessage) string { return entrypoint }
	_, err = js.QueueSubscribe(input, stream, func(message *nats.Msg) {
		r.process(message.Data, "")
		if err := message.Ack(); err != nil {
			Log("ERROR", "Error in message ack: %s", err)
		}
	}, nats.DeliverNew(), nats.Durable(r.node), nats.ManualAck(), nats.AckWait(22*time.Hour))
	if err != nil {
		choke("Error subscribing to the NATS subject: %s", err)
	}
}
