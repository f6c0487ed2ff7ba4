//! What a handler can do beside answering.

use super::{answer, early, on, put, until};
use conformance::{Answer, Order};
use krt_sdk::{
    Context, MetricError, Prediction, Result,
    bson::{Bson, Document, doc, spec::BinarySubtype},
    serde_json::json,
};
use std::time::{Duration, SystemTime};

/// 2024-02-29, half past twelve.
fn day() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_709_209_815_250)
}

pub async fn save_document(ctx: &Context) -> Result<Answer> {
    let bytes = krt_sdk::bson::Binary { subtype: BinarySubtype::Generic, bytes: b"\x00\xff".to_vec() };
    let document = doc! {
        "text": "naïve ☃", "whole": 7, "large": (1_i64 << 53) + 1, "real": 7.0, "yes": true, "nothing": Bson::Null,
        "date": krt_sdk::bson::DateTime::from_system_time(day()), "bytes": bytes, "inner": { "a": "deep" },
    };
    ctx.db().save("things", &document).await?;
    let mut found: Vec<Document> = ctx.db().find("things", doc! { "inner.a": "deep" }).await?;
    found.iter_mut().for_each(|found| drop(found.remove("_id")));
    Ok(answer(json!([found == [document]]).to_string()))
}

pub async fn find_documents(ctx: &Context) -> Result<Answer> {
    for number in 0..5 {
        ctx.db().save("numbers", json!({ "number": number, "even": number % 2 == 0 })).await?;
    }
    let mut counts = Vec::new();
    for query in [
        json!({ "even": true }),
        json!({ "number": { "$gt": 1 } }),
        json!({ "number": 9 }),
        json!({ "even": { "$exists": true } }),
    ] {
        counts.push(ctx.db().find::<Document>("numbers", query).await?.len());
    }
    counts.push(ctx.db().find::<Document>("starts", doc! { "node": "worker" }).await?.len());
    Ok(answer(json!(counts).to_string()))
}

pub async fn wrong(ctx: &Context, order: &Order) -> Result<Answer> {
    let db = ctx.db();
    match &*order.text {
        "save without collection" => db.save("", doc! {}).await?,
        "save a list" => db.save("c", [1]).await?,
        "find without collection" => drop(db.find::<Document>("", doc! { "a": 1 }).await?),
        "find without query" => drop(db.find::<Document>("c", doc! {}).await?),
        "find by nonsense" => drop(db.find::<Document>("c", doc! { "a": { "$nope": 1 } }).await?),
        _ => return Err("there is no such call".into()),
    }
    Err("nothing is wrong".into())
}

pub fn measure(ctx: &Context) -> Answer {
    let measurement = ctx.measurement();
    let kinds = [
        ("text", "a".into()),
        ("whole", 1.into()),
        ("real", 1.5.into()),
        ("one", 1.0.into()),
        ("yes", true.into()),
    ];
    measurement.save("kinds", kinds, [("tag", "t")]);
    let tags = [("node", "mine"), ("version", "mine"), ("workflow", "mine")];
    measurement.save("own tags", [("n", 1.into())], tags);
    measurement.save("partly", [("good", 1.into()), ("map", json!({})), ("nan", f64::NAN.into())], []);
    measurement.save("", [("n", 1.into())], []);
    answer("measured".to_owned())
}

pub async fn predict(ctx: &Context) -> Result<Answer> {
    let prediction = ctx.prediction();
    prediction.save(Prediction::new("cat", "dog").at(day())).await?;
    prediction.save(Prediction::error(MetricError::MissingValues)).await?;
    prediction.save(Prediction::error(MetricError::NewLabels)).await?;
    prediction.save(Prediction::pending("cat").at(day())).await?;
    if let Err(error) = prediction.save(Prediction::new("", "dog")).await {
        ctx.logger().error(error);
    }
    if let Err(error) = "other".parse::<MetricError>() {
        ctx.logger().error(error);
    }
    Ok(answer("predicted".to_owned()))
}

pub async fn update(ctx: &Context, order: &Order) -> Result<Answer> {
    ctx.prediction().update(&order.text, "dog").await?;
    Ok(answer("updated".to_owned()))
}

pub fn speak(ctx: &Context, order: &Order) -> Answer {
    let logger = ctx.logger();
    logger.debug("a debug record");
    logger.info(format_args!("an {} record", "info"));
    logger.warn("a warning");
    logger.error(format_args!("an error record: {}", 7));
    println!("a printed line");
    for number in 0..order.number {
        logger.info(format_args!("record {number}"));
    }
    answer("spoken".to_owned())
}

pub async fn reply(ctx: &Context, order: &Order) -> Result<Answer> {
    ctx.early_reply(early("early"))?;
    until("go").await;
    Ok(on(order, String::new()))
}

pub fn old_reply(ctx: &Context, order: &Order) -> Result<Answer> {
    ctx.early_reply(early("early, by its old name"))?;
    Ok(on(order, String::new()))
}

pub fn reply_twice(ctx: &Context, order: &Order) -> Result<Answer> {
    ctx.early_reply(early("once"))?;
    let second = ctx.early_reply(early("twice"));
    put("second reply", &second.err().map(|error| error.to_string()).unwrap_or_default())?;
    Ok(on(order, String::new()))
}

pub fn reply_and_fail(ctx: &Context) -> Result<Answer> {
    ctx.early_reply(early("early"))?;
    Err("after the answer".into())
}

pub fn exit(ctx: &Context) -> Result<Answer> {
    ctx.early_exit()?;
    Ok(answer("out".to_owned()))
}

pub fn reply_and_exit(ctx: &Context) -> Result<Answer> {
    ctx.early_exit()?;
    ctx.early_reply(early("early"))?;
    Ok(answer("dropped".to_owned()))
}
