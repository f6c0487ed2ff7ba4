//! The greeter of the README, as a node in Rust.

use krt_sdk::{
    Context, Result,
    prost::{Message, Name},
};

#[derive(Clone, PartialEq, Message)]
struct GreetRequest {
    #[prost(string, tag = "1")]
    name: String,
}

impl Name for GreetRequest {
    const NAME: &'static str = "GreetRequest";
    const PACKAGE: &'static str = "greeter";
}

#[derive(Clone, PartialEq, Message)]
struct Greeting {
    #[prost(string, tag = "1")]
    text: String,
}

impl Name for Greeting {
    const NAME: &'static str = "Greeting";
    const PACKAGE: &'static str = "greeter";
}

async fn init(ctx: Context) -> Result<()> {
    ctx.set("salutation", "Hello");
    Ok(())
}

async fn handler(ctx: Context, request: GreetRequest) -> Result<Greeting> {
    ctx.logger().info(format_args!("greeting {}", request.name));
    let salutation = ctx.get::<&str>("salutation")?;
    assert!(!request.name.is_empty(), "there is nobody to greet");
    Ok(Greeting { text: format!("{salutation}, {}!", request.name) })
}

fn main() {
    krt_sdk::start(init, handler);
}
