//! Signs a greeting.

use krt_sdk::{Context, Result};
use prost::{Message, Name};

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
    ctx.logger().info("ready to sign");
    ctx.set("signature", "Yours, krt".to_owned());
    Ok(())
}

async fn handler(ctx: Context, greeting: Greeting) -> Result<Greeting> {
    ctx.logger().info(format_args!("signing {:?}", greeting.text));
    Ok(Greeting { text: format!("{} {}", greeting.text, ctx.get::<String>("signature")?) })
}

fn main() {
    krt_sdk::start(init, handler);
}
