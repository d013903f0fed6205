//! What an answer means: the status of HTTP is 200 also for errors.

use crate::fault::Fault;
use serde_json::Value;

/// What became of a request.
#[derive(Debug, PartialEq)]
pub enum Answer {
    Done(Value),
    /// It was not carried out, and may be asked again after a while: too many in a second.
    Later(String),
    /// Something broke on their side: who only asks may ask again, who changes cannot know.
    Broken(String),
    Refused {
        code: String,
        says: String,
        request: String,
    },
}

/// Why an action brought nothing.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// They said no, with this code: nothing was done.
    Refused { code: String, fault: Fault },
    /// No answer: of what changes something nobody knows whether it was done.
    Lost(Fault),
}

impl From<Trouble> for Fault {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Refused { fault, .. } | Trouble::Lost(fault) => fault,
        }
    }
}

/// An answer that is not as documented.
pub fn strange(region: &str, action: &str, why: &str) -> Trouble {
    Trouble::Lost(Fault::new(format!("the answer to `{action}` in {region} is not as documented")).why(why))
}

/// Reads an answer.
pub fn read(status: u16, body: &str) -> Answer {
    let Ok(mut whole) = serde_json::from_str::<Value>(body) else {
        let what = format!("HTTP {status} and no JSON");
        return if status == 429 { Answer::Later(what) } else { Answer::Broken(what) };
    };
    let Some(response) = whole.get_mut("Response").map(Value::take) else {
        return Answer::Broken(format!("HTTP {status} without `Response`"));
    };
    let Some(error) = response.get("Error") else {
        return if status == 200 { Answer::Done(response) } else { Answer::Broken(format!("HTTP {status}")) };
    };
    let text = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (code, says, request) = (text(error, "Code"), text(error, "Message"), text(&response, "RequestId"));
    match code.split('.').next().unwrap_or_default() {
        "RequestLimitExceeded" => Answer::Later(code),
        "InternalError" => Answer::Broken(format!("{code}: {says}")),
        _ => Answer::Refused { code, says, request },
    }
}

/// The error of an action that was refused.
pub fn refusal(action: &str, code: &str, says: &str, request: &str) -> Fault {
    let fault =
        Fault::new(format!("Tencent Cloud refused `{action}`: {code}")).why(format!("{says} (request {request})"));
    match code {
        "AuthFailure.SignatureExpire" => {
            fault.hint("a request counts for five minutes: look at the clock and the time zone of this machine")
        }
        "AuthFailure.SecretIdNotFound" | "AuthFailure.SignatureFailure" | "AuthFailure.InvalidSecretId" => {
            fault.hint("look at TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY: one of them is not what was made")
        }
        "AuthFailure.TokenFailure" => fault.hint("the temporary key is over: get a new one, with its token"),
        code if code.starts_with("AuthFailure.UnauthorizedOperation") || code.starts_with("UnauthorizedOperation") => {
            fault.hint(format!("its CAM policy must allow the action `{action}`"))
        }
        _ => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_alone_is_never_trusted() {
        let error =
            |code: &str| format!(r#"{{"Response":{{"Error":{{"Code":"{code}","Message":"m"}},"RequestId":"r"}}}}"#);
        assert!(matches!(read(200, &error("AuthFailure.SignatureExpire")), Answer::Refused { .. }));
        assert!(matches!(read(200, &error("RequestLimitExceeded.UinLimitExceeded")), Answer::Later(_)));
        assert!(matches!(read(200, &error("InternalError")), Answer::Broken(_)));
        assert!(matches!(read(200, r#"{"Response":{"TotalCount":0}}"#), Answer::Done(_)));
        for (status, body) in [(200, "<html>"), (502, "{}"), (200, "[]"), (500, r#"{"Response":{"TotalCount":0}}"#)] {
            assert!(matches!(read(status, body), Answer::Broken(_)), "{status} {body}");
        }
        assert!(matches!(read(429, "slow down"), Answer::Later(_)));
    }
}
