//! The other ways in which user code logs, and queries for records (docs/reference/krt-v1.md#logs).

use crate::{
    script::{self, send, value},
    support::{Krt, lines::Record},
};
use krt_model::log::Level;
use krt_store::{LogFilter, StoredLog};

#[tokio::test]
async fn everything_that_python_writes_is_a_record() {
    let service = script::start().await;
    let code = r"
        import subprocess, sys, warnings
        logging.getLogger('a.library').warning('of a %s', 'library')
        logging.basicConfig(force=True)
        ctx.logger.critical('as grave as an error')
        ctx.logger.info('two\nlines')
        ctx.logger.log(25, 'between info and warning')
        ctx.logger.log(5, 'below debug')
        ctx.logger.warn('old name') if hasattr(ctx.logger, 'warn') else ctx.logger.warning('old name')
        ctx.logger.info('not %d enough', 'text')
        print('no end of line', end='')
        print('and an error', file=sys.stderr)
        os.write(1, b'past Python\n')
        subprocess.run([sys.executable, '-c', 'print(\'of a child\')'])
        return 0
    ";
    value(&service, code).await;
    let ended = service.stop().await;
    assert_eq!(ended.lines.plain(), "", "every line is a record");
    let records = ended.lines.records();
    let said = |text: &str| {
        let found = records.iter().filter(|record| record.is("first", text)).collect::<Vec<_>>();
        let [record] = found[..] else { panic!("`{text}` was said {} times: {records:?}", found.len()) };
        (record.level.clone(), record.message.clone())
    };
    for (level, text) in [
        ("ERROR", "as grave as an error"),
        ("INFO", "two\nlines"),
        ("INFO", "between info and warning"),
        ("WARN", "old name"),
    ] {
        assert_eq!(said(text), (level.to_owned(), text.to_owned()));
    }
    for text in ["of a library", "no end of line", "and an error", "past Python", "of a child"] {
        said(text);
    }
    assert!(!ended.lines.text().contains("below debug"));
}

#[tokio::test]
async fn lines_resembling_records_are_plain_output() {
    let service = script::start().await;
    let code = r"
        os.write(1, b'2024-01-01T00:00:00.123Z WARN past Python\n  its second line\n')
        await asyncio.sleep(0.05)
        print('2024-01-02T00:00:00.456Z ERROR printed')
        print('Traceback: of what was printed')
        print('2024-01-03T00:00:00.000Z LOUD no level')
        return 0
    ";
    value(&service, code).await;
    let ended = service.stop().await;
    let records = ended.lines.records();
    let said = |text: &str| {
        let record = records.iter().find(|record| record.message.contains(text));
        let record = record.unwrap_or_else(|| panic!("nobody said `{text}`: {records:?}"));
        (&*record.time, &*record.level, &*record.message)
    };
    for (text, expected) in [
        ("past Python", "2024-01-01T00:00:00.123Z WARN past Python\n  its second line"),
        (
            "ERROR printed",
            "2024-01-02T00:00:00.456Z ERROR printed\nTraceback: of what was printed\n\
             2024-01-03T00:00:00.000Z LOUD no level",
        ),
    ] {
        let (time, level, message) = said(text);
        assert_eq!((level, message), ("INFO", expected));
        assert!(!time.starts_with("2024-01-0"), "{time}");
    }
}

#[tokio::test]
async fn stored_records_are_found_by_every_attribute() {
    let init = "ctx.logger.info('in init')";
    let service = Krt::run("script").env("SCRIPT_INIT", init).start().await;
    let code = "
        ctx.logger.info('Needle one')
        ctx.logger.warning('needle two')
        ctx.logger.error('other')
        return 0
    ";
    send(&service, "Two", &[code, "ctx.logger.info('needle three'); return 1"]).await.unwrap();
    send(&service, "One", &[code]).await.unwrap();
    let ended = service.stop().await;
    let shown = ended.lines.records();
    let reader = ended.reader();
    let find = |filter: LogFilter| reader.logs(&filter, 1000).unwrap().records;
    let text = |text: &str| LogFilter { text: Some(text.to_owned()), ..LogFilter::default() };
    let messages = |filter| find(filter).into_iter().map(|record| record.message).collect::<Vec<_>>();

    assert_eq!(
        messages(text("needle")),
        ["Needle one", "needle two", "needle three", "Needle one", "needle two"]
    );
    let node = Some("last".to_owned());
    assert_eq!(messages(LogFilter { node: node.clone(), ..text("needle") }), ["needle three"]);
    assert_eq!(messages(LogFilter { workflow: Some("one".to_owned()), ..text("ne") }).len(), 2);
    assert_eq!(
        messages(LogFilter { level: Some(Level::Warn), ..LogFilter::default() }),
        ["needle two", "other", "needle two", "other"]
    );
    let [third] = &find(text("needle three"))[..] else { panic!("it is there once") };
    let of_request = LogFilter { request: third.request.clone(), ..LogFilter::default() };
    assert_eq!(messages(of_request), ["Needle one", "needle two", "other", "needle three"]);
    let later = LogFilter { from: Some(third.time), ..text("needle") };
    assert_eq!(messages(later), ["needle three", "Needle one", "needle two"]);
    let earlier = LogFilter { to: Some(third.time), ..text("needle") };
    assert_eq!(messages(earlier), ["Needle one", "needle two"]);
    assert_eq!(messages(LogFilter { version: Some("other".to_owned()), ..text("") }), [""; 0]);

    for stored in find(text("needle")) {
        assert!(shown.iter().any(|record| is_same(record, &stored)), "{stored:?} is not as shown: {shown:?}");
    }
    for start in find(text("in init")) {
        assert_eq!((start.workflow, start.request), (None, None));
        assert!(start.node.is_some());
    }
}

fn is_same(shown: &Record, stored: &StoredLog) -> bool {
    shown.message == stored.message
        && shown.level == stored.level.to_string()
        && shown.version.as_deref() == Some(&*stored.version)
        && (&shown.workflow, &shown.node, &shown.request) == (&stored.workflow, &stored.node, &stored.request)
        && shown.request.is_some()
}
