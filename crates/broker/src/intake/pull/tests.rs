use super::*;
use crate::{Namespace, StageRef, intake::tests::connect, subject::tests::version};
use tokio::task::JoinSet;

/// The address for the acknowledgement of a message, by its number.
fn ack_subject(number: u32) -> String {
    format!("$JS.ACK.S.C.1.{number}.{number}.1.0")
}

#[tokio::test]
async fn a_closed_intake_gives_back_what_arrives_and_asks_for_no_more() {
    let (connection, mut peer) = connect().await;
    let (version, mut tasks) = (version(&[0]), JoinSet::new());
    let workflow = &version.workflows[0];
    let stage =
        StageRef { namespace: &Namespace::of_runtime("shop"), version: &version, workflow, position: 0 }
            .stage();
    let sender = Sender::spawn(connection.clone(), &mut tasks);
    let (limits, room) = (Limits::default(), 4);
    let opened = Pull::subscribe(&connection, &sender, Arc::new(stage), room, limits, limits.ack_wait).await;
    let mut pull = opened.unwrap();
    let id = peer.wait(&format!("SUB {} ", pull.inbox)).await;
    let message = |number| format!("MSG work {id} {} 2\r\nhi\r\n", ack_subject(number));
    let first = async {
        peer.wait("PUB $JS.API.CONSUMER.MSG.NEXT.").await;
        peer.write(&message(1)).await;
    };
    let (taken, ()) = tokio::join!(pull.next(), first);
    let acker = taken.unwrap().acker.unwrap();

    let second = message(2);
    tokio::join!(pull.close(), peer.send_before_the_end(&id, &second));
    let rest = async {
        peer.wait(&format!("PUB {} ", ack_subject(2))).await;
        peer.wait("-NAK").await;
        acker.ack();
    };
    let (ended, ()) = tokio::join!(pull.next(), rest);
    assert!(ended.is_none(), "nothing is in flight");
}

/// One request asks for several messages: with some still on their way, there is another one only once half of the room
/// is free.
#[tokio::test]
async fn an_intake_does_not_ask_for_every_single_place() {
    const ROOM: usize = 8;
    let (connection, mut peer) = connect().await;
    let (version, mut tasks) = (version(&[0]), JoinSet::new());
    let workflow = &version.workflows[0];
    let stage =
        StageRef { namespace: &Namespace::of_runtime("shop"), version: &version, workflow, position: 0 }
            .stage();
    let sender = Sender::spawn(connection.clone(), &mut tasks);
    let limits = Limits::default();
    let opened = Pull::subscribe(&connection, &sender, Arc::new(stage), ROOM, limits, limits.ack_wait).await;
    let mut pull = opened.unwrap();
    let id = peer.wait(&format!("SUB {} ", pull.inbox)).await;
    let (mut acks, mut number) = (Vec::new(), 0);
    // By request: how many messages it asks for, how many come, and how many are done before the next request.
    for (asked, come, done) in [(8, 7, 4), (4, 5, 1), (1, 1, 7)] {
        let answer = async {
            let batch = peer.wait("{\"batch\":").await;
            assert_eq!(batch.split(',').next(), Some(&*format!("{asked}")));
            for _ in 0..come {
                number += 1;
                peer.write(&format!("MSG work {id} {} 2\r\nhi\r\n", ack_subject(number))).await;
            }
        };
        let take = async {
            for _ in 0..come {
                acks.push(pull.next().await.unwrap().acker.unwrap());
            }
        };
        tokio::join!(take, answer);
        assert!(futures::poll!(Box::pin(pull.next())).is_pending());
        for acker in acks.drain(..done) {
            acker.ack();
            assert!(futures::poll!(Box::pin(pull.next())).is_pending());
        }
    }
    let last = acks.remove(0);
    last.nak();
    assert_eq!(peer.wait("-NAK").await, "", "without a pause");
}
