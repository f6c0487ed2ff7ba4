"""Uses MongoDB like KRT v1 code, with pymongo 3 or 4. Arguments: the URL, the runtime."""

import sys

import pymongo
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure


def refused(do, part):
    try:
        do()
    except OperationFailure as error:
        assert part in str(error), error
    else:
        raise AssertionError(f"{part!r} is refused")


def main(url, runtime):
    client = pymongo.MongoClient(url, serverSelectionTimeoutMS=20_000)
    client.admin.command("ping")
    assert client.server_info()["version"] == "6.0.0"
    assert client.get_default_database().name == f"{runtime}-data"
    assert client.list_database_names() == [f"{runtime}-data"]

    orders = client[f"{runtime}-data"]["orders"]
    made = orders.insert_one({"number": -1, "text": "é", "nested": {"list": [1, 2.5, None]}})
    assert orders.find_one({"_id": made.inserted_id})["nested"] == {"list": [1, 2.5, None]}
    try:
        orders.insert_one({"_id": made.inserted_id})
    except DuplicateKeyError as error:
        assert "E11000" in str(error), error
    else:
        raise AssertionError("a second one with the same _id is refused")
    orders.insert_many([{"number": number, "load": "x" * 1000} for number in range(3000)])
    many = [{"_id": "a"}, {"_id": "a"}, {"_id": "b"}]
    for ordered, inserted in [(True, 1), (False, 2)]:
        try:
            client[f"{runtime}-data"][f"many{ordered}"].insert_many([*many], ordered=ordered)
        except BulkWriteError as error:
            assert error.details["nInserted"] == inserted, error.details
            assert [it["index"] for it in error.details["writeErrors"]] == [1], error.details
        else:
            raise AssertionError("a duplicate is refused")

    # Runners query a hard-coded database name, which leads to the same database.
    found = list(client["data"]["orders"].find({"number": {"$gte": 0}}))
    assert [document["number"] for document in found] == list(range(3000))
    last = list(orders.find({}, {"number": 1, "_id": 0}).sort("number", -1).skip(1).limit(2))
    assert last == [{"number": 2998}, {"number": 2997}], last
    batches = orders.find({"number": {"$gte": 0}}, batch_size=7)
    assert sum(1 for _ in batches) == 3000
    half = orders.find({}, batch_size=2)
    next(half)
    half.close()

    assert orders.count_documents({"number": {"$lt": 10}}) == 11
    assert orders.count_documents({"number": {"$lt": 10}}, skip=1, limit=4) == 4
    assert orders.estimated_document_count() == 3001
    assert sorted(client["data"].list_collection_names()) == ["manyFalse", "manyTrue", "orders"]
    assert list(client["elsewhere"]["orders"].find()) == []
    refused(lambda: client["elsewhere"]["orders"].insert_one({}), f"{runtime}-data")
    refused(lambda: orders.update_one({}, {"$set": {"a": 1}}), "--mongo")
    refused(lambda: orders.delete_many({}), "not supported by krt's embedded store")
    refused(lambda: list(orders.aggregate([{"$lookup": {}}])), "$lookup")

    stranger = pymongo.MongoClient(url.replace("krt:", "krt:x"), serverSelectionTimeoutMS=20_000)
    refused(lambda: stranger["data"]["orders"].find_one(), "Authentication failed")
    print(f"pymongo {pymongo.version}")


main(*sys.argv[1:])
