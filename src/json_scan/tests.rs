use super::*;
use proptest::prelude::*;

/// Notes all that is told; `text` is wanted as letters, `json` as JSON, and `in` within it too.
#[derive(Default, PartialEq, Debug)]
struct Notes {
    told: Vec<String>,
    pieces: Vec<u8>,
}

impl Sink for Notes {
    fn wanted(&mut self, path: &str) -> Wanted {
        match path {
            "text" => Wanted::Letters,
            "json" | "json.in" => Wanted::Json,
            _ => Wanted::Values,
        }
    }

    fn value(&mut self, path: &str, text: &[u8]) {
        self.told.push(format!("{path}={}", String::from_utf8_lossy(text)));
    }

    fn closed(&mut self, path: &str) {
        self.told.push(format!("{path}."));
    }

    fn piece(&mut self, bytes: &[u8]) {
        self.pieces.extend(bytes);
    }
}

fn told_in(pieces: &[&[u8]]) -> (Vec<String>, String) {
    let (mut scanner, mut notes) = (Scanner::default(), Notes::default());
    pieces.iter().for_each(|piece| scanner.feed(piece, &mut notes));
    scanner.finish(&mut notes);
    assert!(scanner.scalar.capacity() <= 2 * LONGEST && scanner.path.len() <= DEEPEST * (LONGEST_KEY + 2));
    (notes.told, String::from_utf8_lossy(&notes.pieces).into_owned())
}

fn told(text: &str) -> Vec<String> {
    told_in(&[text.as_bytes()]).0
}

fn pieces(text: &str) -> String {
    told_in(&[text.as_bytes()]).1
}

#[test]
fn scalars_are_told_with_their_paths() {
    assert_eq!(
        told(r#" {"a": 1, "b" : {"c":"x","d":[true, {"e":null}, -1.5e3]},"f":[]} "#),
        ["a=1", "b.c=x", "b.d[]=true", "b.d[].e=null", "b.d[].", "b.d[]=-1.5e3", "b.d.", "b.", "f.", "."]
    );
    assert_eq!(told("17"), ["=17"]);
    assert_eq!(told(r#"[{"u":"1"},{"u":"2"}]"#), ["[].u=1", "[].", "[].u=2", "[].", "."]);
}

#[test]
fn escapes_are_letters() {
    assert_eq!(told(r#"{"a\u0041":"\"\\\/\n\t\r\b\f\u00e9\ud83d\ude00"}"#)[0], "aA=\"\\/\n\t\r\u{8}\u{c}\u{e9}\u{1f600}");
    // Half a pair, or no digit, is one letter that is not there.
    for (text, letters) in [
        (r"\ud83dx", "\u{fffd}x"),
        (r"\ude00", "\u{fffd}"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
        (r"\ud83d\n", "\u{fffd}\n"),
        (r"\u12zx", "\u{fffd}x"),
        (r"\ud83d", "\u{fffd}"),
    ] {
        assert_eq!(told(&format!("[\"{text}\"]"))[0], format!("[]={letters}"));
    }
}

#[test]
fn what_is_large_is_passed_on() {
    assert_eq!(pieces(r#"{"text":"a\"b\u00e9","x":1,"other":"text"}"#), "a\"b\u{e9}");
    let json = r#"{"nodes":[{"a":"}\""},[1,[2,[3,[4,[5,[6,[7,[8]]]]]]]]],"text":"x"}"#;
    assert_eq!(pieces(&format!("{{\"json\" : {json} ,\"x\":1}}")), json);
    assert_eq!(pieces(r#"{"json":{"in":[1],"z":2},"y":3}"#), r#"{"in":[1],"z":2}"#);
    for scalar in ["17", "\"x\\\"y\"", "null", "[]"] {
        assert_eq!(pieces(&format!("{{\"json\":{scalar},\"y\":2}}")), scalar);
        assert_eq!(pieces(&format!("{{\"json\":{scalar}}}")), scalar);
    }
}

#[test]
fn nothing_grows() {
    let (long, deep) = ("x".repeat(100_000), "[".repeat(100_000));
    assert_eq!(told(&format!("{{\"a\":\"{long}\"}}"))[0].len(), "a=".len() + LONGEST);
    assert_eq!(told(&format!("{{\"{long}\":1,\"b\":2}}"))[..2], ["?=1", "b=2"]);
    assert_eq!(
        told(&format!("{{\"a\":{deep}1,\"a\":2{},\"b\":3}}", "]".repeat(100_000))),
        ["a[][][][][][].", "a[][][][][].", "a[][][][].", "a[][][].", "a[][].", "a[].", "a.", "b=3", "."]
    );
    let objects = format!("{}[{{\"k\":1,\"l\":\"x\"}},\"y\"],\"b\":2{}", "{\"a\":".repeat(DEEPEST), "}".repeat(DEEPEST));
    assert_eq!(told(&objects)[..2], ["a.a.a.a.a.a.a.b=2", "a.a.a.a.a.a.a."]);
    assert_eq!(told(&deep), [] as [&str; 0]);
    assert_eq!(told("]]}}]"), [] as [&str; 0]);
}

#[test]
fn one_text_does_not_reach_into_the_next() {
    let (mut scanner, mut notes) = (Scanner::default(), Notes::default());
    for half in [&b"{\"a\":[{\"json"[..], b"[[[[[[[[[[[[[", b"{\"text\":\"\\ud83d", b"{\"json\":[1,"] {
        scanner.feed(half, &mut notes);
        scanner.finish(&mut notes);
    }
    notes = Notes::default();
    scanner.feed(b"{\"a\":1}", &mut notes);
    assert_eq!((notes.told.join(" "), notes.pieces.len()), ("a=1 .".to_owned(), 0));
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let scalar = prop_oneof![any::<bool>().prop_map(Into::into), any::<i32>().prop_map(Into::into), ".{0,6}".prop_map(Into::into)];
    scalar.prop_recursive(5, 40, 4, |inner| {
        let key = prop_oneof![Just("json".to_owned()), Just("text".to_owned()), "[a-z\"\\\\]{0,3}"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::vec((key, inner), 0..4).prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    /// However the bytes are split, valid or not.
    #[test]
    fn any_split_tells_the_same(text in prop_oneof![json().prop_map(|json| json.to_string()), "[\\[\\]{}\",:\\\\ujsontex0-9a-f ]{0,60}"], cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..9)) {
        let bytes = text.as_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
        prop_assert_eq!(told_in(&parts), told_in(&[bytes]));
    }

    #[test]
    fn json_is_passed_on_as_it_is(json in json()) {
        prop_assert_eq!(pieces(&format!("{{\"a\":1,\"json\": {json} }}")), json.to_string());
    }

    #[test]
    fn letters_are_those_of_the_string(text in ".{0,40}") {
        prop_assert_eq!(pieces(&format!("{{\"text\":{}}}", serde_json::Value::from(text.as_str()))), text);
    }
}
