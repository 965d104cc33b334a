//! What has one text everywhere: in the file, in JSON, in the database and on the screen. Enums with a word for each
//! variant, and types that are parsed.

macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident: $noun:literal { $($(#[$attr:meta])* $variant:ident = $word:literal),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $name { $($(#[$attr])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl From<$name> for &'static str {
            fn from(word: $name) -> Self {
                word.as_str()
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|each| each.as_str() == word).ok_or_else(|| {
                    let all: Vec<&str> = Self::ALL.iter().map(|each| each.as_str()).collect();
                    let word = $crate::text::printable(word, 60);
                    format!(concat!("there is no ", $noun, " `{}`; there are {}"), word, all.join(", "))
                })
            }
        }
    };
}

/// For `#[serde(into = "String", try_from = "String")]`: as `Display` writes it, and `FromStr` reads it.
macro_rules! as_text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = <Self as ::std::str::FromStr>::Err;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}

pub(crate) use as_text;
pub(crate) use words;
