// Command mongo uses MongoDB like KRT v1 code. Its arguments are the URL and the runtime.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
	"go.mongodb.org/mongo-driver/version"
)

func main() {
	log.SetFlags(log.Lshortfile)
	url, runtime := os.Args[1], os.Args[2]
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	client := connect(ctx, url)
	check(client.Ping(ctx, nil))

	orders := client.Database(runtime + "-data").Collection("orders")
	made, err := orders.InsertOne(ctx, bson.M{"number": -1, "text": "é"})
	check(err)
	_, err = orders.InsertOne(ctx, bson.M{"_id": made.InsertedID})
	refused(err, "E11000")
	var documents []interface{}
	for number := 0; number < 3000; number++ {
		documents = append(documents, bson.M{"number": number, "load": strings.Repeat("x", 1000)})
	}
	_, err = orders.InsertMany(ctx, documents)
	check(err)
	_, err = orders.InsertMany(ctx, []interface{}{bson.M{"_id": 1}, bson.M{"_id": 1}, bson.M{"_id": 2}},
		options.InsertMany().SetOrdered(false))
	refused(err, "E11000")

	// Runners query a hard-coded database name, which leads to the same database.
	cursor, err := client.Database("data").Collection("orders").Find(ctx, bson.M{"number": bson.M{"$gte": 0}})
	check(err)
	var found []struct{ Number int }
	check(cursor.All(ctx, &found))
	for index, document := range found {
		equal(document.Number, index)
	}
	equal(len(found), 3000)
	var one bson.M
	check(orders.FindOne(ctx, bson.M{}, options.FindOne().SetSort(bson.M{"number": -1}).SetSkip(1).
		SetProjection(bson.M{"_id": 0, "number": 1})).Decode(&one))
	equal(fmt.Sprint(one), "map[number:2998]")
	count, err := orders.CountDocuments(ctx, bson.M{"number": bson.M{"$lt": 10}})
	check(err)
	equal(int(count), 11)
	count, err = orders.EstimatedDocumentCount(ctx)
	check(err)
	equal(int(count), 3003)
	names, err := client.Database("data").ListCollectionNames(ctx, bson.M{})
	check(err)
	equal(fmt.Sprint(names), "[orders]")
	_, err = orders.UpdateOne(ctx, bson.M{}, bson.M{"$set": bson.M{"a": 1}})
	refused(err, "--mongo")
	_, err = client.Database("elsewhere").Collection("orders").InsertOne(ctx, bson.M{})
	refused(err, runtime+"-data")
	check(client.Disconnect(ctx))

	stranger := connect(ctx, strings.Replace(url, "krt:", "krt:x", 1))
	short, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	refused(stranger.Ping(short, nil), "auth")
	fmt.Println("mongo-driver", version.Driver)
}

func connect(ctx context.Context, url string) *mongo.Client {
	client, err := mongo.NewClient(options.Client().ApplyURI(url).SetServerSelectionTimeout(20 * time.Second))
	check(err)
	check(client.Connect(ctx))
	return client
}

func check(err error) {
	if err != nil {
		_ = log.Output(2, err.Error())
		os.Exit(1)
	}
}

func refused(err error, part string) {
	if err == nil || !strings.Contains(err.Error(), part) {
		_ = log.Output(2, fmt.Sprintf("%v is not %q", err, part))
		os.Exit(1)
	}
}

func equal(got, expected interface{}) {
	if got != expected {
		_ = log.Output(2, fmt.Sprintf("%v is not %v", got, expected))
		os.Exit(1)
	}
}
