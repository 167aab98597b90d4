//! A recount finds nothing on a healthy sale, and each kind of damage on a sick one.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Value, json};

use super::shop::{Shop, books, buy, field, order, payment, set_field, shard_of, shoes};
use crate::support::{
    participant::{Answer, Participant},
    redis::{connect, fresh_name, redis_url},
};

async fn reconcile(shop: &Shop, sale: &str) -> Value {
    let reply = shop.post(&format!("/api/flash/sales/{sale}/reconcile"), "").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

/// The differences as `<bucket> <item>: <what>: <books> <counted>`.
async fn differences(shop: &Shop, sale: &str) -> Vec<String> {
    let found = reconcile(shop, sale).await;
    assert_eq!(found["is_exact"], json!(true), "{found}");
    let list = found["differences"].as_array().expect("a list");
    assert_eq!(found["n_differences"], json!(list.len()));
    let text = |it: &Value| it.as_str().unwrap_or("-").to_owned();
    list.iter()
        .map(|it| {
            let (item, what) = (text(&it["item"]), text(&it["what"]));
            format!("{} {item}: {what}: {} {}", it["bucket"], it["books"], it["counted"])
        })
        .collect()
}

/// What `tandem reconcile` ends with, prints and complains of.
fn run(shop: &Shop, sale: &str, flags: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command.args(["reconcile", sale, "--url", shop.base()]).args(flags);
    let output = command.output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A sale with an order that is held (`held`, by jane) and one that is sold (`sold`, by joe), two
/// units each of ten.
async fn with_orders() -> (Shop, Participant) {
    let (shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    bank.answers("/pay", &[Answer::Success, Answer::Held]);
    shop.sell("s", 10, json!({"steps": payment(&bank)})).await;
    let mut sold = shoes("sold", "joe", 2);
    sold["wait_result"] = json!(true);
    assert_eq!(order(&shop, "s", &sold).await.status, 200);
    assert_eq!(buy(&shop, "s", "held", "jane", 2).await.status, 200);
    bank.arrived("/pay", 2).await;
    assert_eq!(books(&shop, "s").await, (6, 2, 2));
    (shop, bank)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_sale_has_no_differences_at_rest_and_while_it_is_sold() {
    let (shop, bank) = (Shop::start(&[]).await, Participant::start().await);
    bank.answers("/pay", &[Answer::Success, Answer::Failure, Answer::Success]);
    shop.sell("s", 400, json!({"steps": payment(&bank), "buckets": 3, "limit": 3})).await;
    let orders = (0..300).map(|number| {
        let shop = &shop;
        async move { buy(shop, "s", &fresh_name(), &format!("b{number}"), 1 + number % 3).await }
    });
    let counting = async {
        for _ in 0..3 {
            // It may be too busy to be sure, but is never wrong.
            assert_eq!(reconcile(&shop, "s").await["differences"], json!([]));
        }
    };
    let (replies, ()) =
        futures_util::future::join(futures_util::future::join_all(orders), counting).await;
    assert!(replies.iter().filter(|reply| reply.status == 200).count() > 100);
    shop.until_metric("tandem_in_work", |n_in_work| n_in_work == 0.0).await;
    let found = reconcile(&shop, "s").await;
    assert_eq!((&found["is_exact"], &found["differences"]), (&json!(true), &json!([])), "{found}");
    let counts = &found["orders"];
    let all = ["held", "sold", "released"].map(|name| counts[name].as_u64().expect("a number"));
    let accepted = replies.iter().filter(|reply| reply.status == 200).count() as u64;
    assert_eq!((all[0], all.iter().sum::<u64>()), (0, accepted));
    assert!(all[2] > 0, "one payment failed: {found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn held_and_sold_orders_are_counted() {
    let (shop, bank) = with_orders().await;
    let found = reconcile(&shop, "s").await;
    assert_eq!(found["orders"], json!({"held": 1, "sold": 1, "released": 0}));
    assert_eq!((&found["is_exact"], &found["differences"]), (&json!(true), &json!([])), "{found}");
    bank.release("/pay");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_damage_is_told() {
    let (shop, bank) = with_orders().await;
    let key = |name: &str| shop.bucket_keys(&format!("{name}:s")).remove(0);
    let (bucket, rows, buyers) = (key("f"), key("fr"), key("fb"));
    let gid = format!("flash:s:sold~{:02}", shard_of(&bucket));
    let transaction = bucket.replace(":f:s", &format!(":g:{gid}"));

    // Each: what is damaged, how, and what is told of it.
    let row = |letter: &str, units: u64, buyer: &str| format!("{letter};shoe={units};6;{buyer}");
    for (key, name, value, wanted) in [
        (
            &bucket,
            "i:shoe",
            "10;10;6;3;1;0;0;2",
            vec!["0 shoe: held units: 3 2", "0 shoe: sold units: 1 2"],
        ),
        (
            &bucket,
            "i:shoe",
            "10;10;7;2;2;0;0;2",
            vec!["0 shoe: supply = available + held + sold: 10 11"],
        ),
        (
            &bucket,
            "i:shoe",
            "10;12;8;2;2;0;0;2",
            vec!["null shoe: the supply of all buckets: 12 10"],
        ),
        (&bucket, "i:shoe", "9;10;6;2;2;0;0;2", vec!["0 shoe: the bucket's share: 9 10"]),
        (&bucket, "n", "2;2;0", vec!["0 -: orders in work: 2 1"]),
        (&bucket, "n", "1;5;0", vec!["0 -: orders: 5 2"]),
        (&buyers, "jane", "shoe=3", vec!["0 shoe: the units of the buyer jane: 3 2"]),
        (&buyers, "nobody", "shoe=1", vec!["0 shoe: the units of the buyer nobody: 1 0"]),
        (
            &rows,
            "osold",
            &row("R", 2, "joe"),
            vec![
                "0 shoe: sold units: 2 0",
                "0 -: the units of the order sold are given back, its transaction is succeed: 2 0",
                "0 shoe: the units of the buyer joe: 2 0",
            ],
        ),
        (
            &rows,
            "oheld",
            &row("S", 2, "jane"),
            vec![
                "0 -: orders in work: 1 0",
                "0 shoe: held units: 2 0",
                "0 shoe: sold units: 2 4",
                "0 -: the units of the order held are sold, its transaction is submitted: 2 0",
            ],
        ),
        (
            &rows,
            "oghost",
            "H;sock=1;0;jim",
            vec![
                "0 -: orders in work: 1 2",
                "0 -: orders: 2 3",
                "0 sock: units of an item that the books do not have: 0 1",
                "0 -: the units of the order ghost are held, its transaction is not there: 1 0",
                "0 sock: the units of the buyer jim: 0 1",
            ],
        ),
        (&rows, &format!("b2:01{gid}"), "S;;;joe", vec![]),
        (
            &rows,
            &format!("b2:01{gid}"),
            "H;;;joe",
            vec!["0 -: the units of branch 01 of GID are held, its transaction is succeed: 0 0"],
        ),
    ] {
        let before: Option<String> = redis::cmd("HGET")
            .arg(key)
            .arg(name)
            .query(&mut connect(redis_url()))
            .expect("a field");
        set_field(key, name, value);
        let told = differences(&shop, "s").await;
        let wanted: Vec<_> = wanted.iter().map(|it| it.replace("GID", &gid)).collect();
        assert_eq!(told, wanted, "{name} {value}");
        match before {
            Some(before) => set_field(key, name, &before),
            None => {
                redis::cmd("HDEL")
                    .arg(key)
                    .arg(name)
                    .exec(&mut connect(redis_url()))
                    .expect("gone");
            }
        }
    }
    // One that ended may be gone: its retention was over.
    redis::cmd("DEL").arg(&transaction).exec(&mut connect(redis_url())).expect("gone");
    assert_eq!(differences(&shop, "s").await, [""; 0]);
    assert!(!field(&bucket, "_").is_empty());
    bank.release("/pay");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_changes_all_the_time_is_told_so_without_being_read_to_its_end() {
    const N_ROWS: usize = 5_000;
    let shop = Shop::start(&[]).await;
    shop.sell("s", 10, json!({})).await;
    let books = shop.bucket_keys("f:s").remove(0);
    let mut fill = redis::cmd("HSET");
    fill.arg(books.replace(":f:s", ":fr:s"));
    for number in 0..N_ROWS {
        fill.arg(format!("b2:01gone-{number}")).arg("R;;;joe");
    }
    fill.exec(&mut connect(redis_url())).expect("filled");
    let is_over = Arc::new(AtomicBool::new(false));
    let busy = std::thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || {
            let (mut redis, mut takes) = (connect(redis_url()), 0_u64);
            while !is_over.load(Ordering::Relaxed) {
                takes += 1;
                let mut change = redis::cmd("HSET");
                change.arg(&books).arg("i:shoe").arg(format!("10;10;10;0;0;0;0;{takes}"));
                change.exec(&mut redis).expect("changed");
            }
        }
    });
    let found = reconcile(&shop, "s").await;
    // A row's transaction is asked for when the row is read.
    let n_read = shop.metric("tandem_script_items_total{script=\"query\"}").await;
    let (code, printed, complaint) = run(&shop, "s", &[]);
    is_over.store(true, Ordering::Relaxed);
    busy.join().expect("it changed the books");
    assert_eq!((&found["is_exact"], &found["differences"]), (&json!(false), &json!([])), "{found}");
    assert_eq!((&found["buckets"], &found["buckets_counted"]), (&json!(1), &json!(0)), "{found}");
    let told = "the sale changed all the while: none of its buckets could be counted and compared";
    assert_eq!((code, printed), (Some(1), format!("sale s\n  {told}\n")));
    assert!(
        complaint.contains("none of its buckets could be counted and compared; try again"),
        "{complaint}"
    );
    assert!(n_read > 0.0 && n_read < 2.0 * N_ROWS as f64, "{n_read} rows in eight recounts");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_what_differs_and_says_so_by_its_exit_code() {
    let shop = Shop::start(&["--api-token", "secret"]).await;
    let make = json!({
        "request_id": "r",
        "id": "s",
        "items": [{"id": "shoe", "stock": 3}],
        "hold_seconds": 60,
    });
    let request = crate::support::server::client()
        .post(format!("{}/api/flash/sales", shop.base()))
        .bearer_auth("secret")
        .body(make.to_string());
    assert_eq!(request.send().await.expect("an answer").status(), 200);
    let run = |sale: &str, token: &str| run(&shop, sale, &["--api-token", token]);
    let (code, printed, complaint) = run("s", "secret");
    assert_eq!(code, Some(0), "{complaint}");
    assert_eq!(
        printed,
        "sale s\n  orders    0 held, 0 sold, 0 given back\n  branches  0 held, 0 sold, 0 given back\n  \
         the books are right\n"
    );
    let bucket = shop.bucket_keys("f:s").remove(0);
    set_field(&bucket, "i:shoe", "3;3;2;0;1;0;0;1");
    let (code, printed, complaint) = run("s", "secret");
    assert_eq!(code, Some(1));
    let told = "  bucket 0, shoe: sold units: the books say 1, counted are 0\n  1 differences\n";
    assert!(printed.ends_with(told), "{printed}");
    assert!(complaint.contains("s: the books differ from a recount"), "{complaint}");

    for (sale, token, told) in [("none", "secret", "there is no sale"), ("s", "other", "401")] {
        let (code, printed, complaint) = run(sale, token);
        assert_eq!((code, printed.as_str()), (Some(1), ""));
        assert!(complaint.contains(told), "{complaint}");
    }
}
