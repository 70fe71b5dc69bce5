//! What Node's inspector is asked: the messages, and the JavaScript that is evaluated in the app. Pure.

use std::time::Duration;

/// A message: a method with parameters, which are JSON.
pub fn call(id: u32, method: &str, parameters: &str) -> String {
    format!("{{\"id\":{id},\"method\":\"{method}\",\"params\":{parameters}}}")
}

/// How long after [`CLOSE`] the inspector closes: whoever asked for it has hung up by then.
const CLOSES_AFTER: Duration = Duration::from_millis(20);

/// Sets a timer in the app that closes the inspector, and gives back a function that closes it soon, or has it open for as long again. Each in a
/// turn of the loop of its own: Node crashes where the inspector is closed in the midst of its own work. `require` is there in modules of either
/// kind, but only while this is evaluated. What throws in a timer would end the app. A timer that holds no loop keeps no app alive.
/// An earlier timer is left to find that it is not the last one: this is evaluated wherever the app is, also where Node is about to call what
/// that timer calls, and one that is cleared there ends the app (`timer._onTimeout is not a function`).
///
/// `is_foreign`: it was open before. Then there is nothing to close, unless an earlier one of these timers is still to do it: then that is ours now.
pub fn safety(limit: Duration, is_foreign: bool) -> String {
    let (limit, soon, is_foreign) = (limit.as_millis(), CLOSES_AFTER.as_millis(), i32::from(is_foreign));
    format!(
        "{{\"includeCommandLineAPI\":true,\"expression\":\"((i,k)=>{{if({is_foreign}&&!i[k])return;\
         const c=()=>{{delete i[k];try{{i.close()}}catch{{}}}},s=(t,h)=>{{const o=i[k]=setTimeout(()=>i[k]===o&&c(),t);h||o.unref()}};s({limit});\
         return a=>a?s({limit}):s({soon},1)}})(require('inspector'),Symbol.for('restartinit'))\"}}"
    )
}

/// Calls that function, given its name among the inspector's objects: to close it soon, or to have it open for as long again.
pub fn call_safety(object: &str, stays: bool) -> String {
    let stays = i32::from(stays);
    format!("{{\"objectId\":\"{object}\",\"functionDeclaration\":\"function(){{this({stays})}}\",\"returnByValue\":true}}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn messages_are_json() {
        for parameters in ["{}", &safety(Duration::from_secs(3), true), &call_safety("-1.2.3", true)] {
            let message: Value = serde_json::from_str(&call(7, "A.b", parameters)).unwrap();
            assert_eq!((&message["id"], &message["method"]), (&7.into(), &"A.b".into()));
            assert!(message["params"].is_object());
        }
        assert!(call_safety("x", true).contains("this(1)") && call_safety("x", false).contains("this(0)"));
        assert!(
            safety(Duration::from_secs(3), true).contains("if(1&&!i[k])") && safety(Duration::from_secs(3), false).contains("if(0&&!i[k])")
        );
        assert_eq!(safety(Duration::from_secs(3), false).matches("s(3000)").count(), 2);
        assert!(!safety(Duration::from_secs(3), false).contains("clear"), "not in the midst of Node's own work");
    }
}
