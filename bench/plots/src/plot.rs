//! A finished picture, and the forms it is given out in.

use std::sync::{Arc, LazyLock};

use resvg::{
    tiny_skia::{Pixmap, Transform},
    usvg::{self, fontdb},
};
use thiserror::Error;

use crate::{
    ink::{INK, PAPER, STYLE},
    xml::Xml,
};

/// A finished picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plot {
    /// Everything inside the outermost element.
    inside: String,
    title: String,
    width: u32,
    height: u32,
}

/// Why a picture has no PNG.
#[derive(Debug, Error)]
pub enum PngError {
    /// The scale is not a number, not above zero, or makes more than [`Plot::MOST_PIXELS`].
    #[error("a picture {width} by {height} can't be scaled by {scale}")]
    Scale {
        /// Of the picture unscaled.
        width: u32,
        /// Of the picture unscaled.
        height: u32,
        /// As asked for.
        scale: f32,
    },
    /// The renderer refused what was drawn.
    #[error("picture can't be rendered")]
    Render(#[source] Box<usvg::Error>),
    /// The pixels could not be packed.
    #[error("pixels can't be written as PNG")]
    Pack(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Plot {
    /// More pixels than this along either side are refused.
    pub const MOST_PIXELS: u32 = 16_384;

    pub(crate) fn new(inside: String, title: &str, width: u32, height: u32) -> Self {
        Self { inside, title: title.to_owned(), width, height }
    }

    /// Width and height, in CSS pixels.
    #[must_use]
    pub const fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// A file of its own: light or dark as the reader's system is, with a paper behind it.
    #[must_use]
    pub fn svg(&self) -> String {
        self.written(None, &[STYLE, PAPER])
    }

    /// For the inside of a page that has [`STYLE`](crate::STYLE) in its head; without, it is drawn in the colours for
    /// light paper, and its text in the page's colour.
    #[must_use]
    pub fn inline(&self) -> String {
        self.written(None, &[])
    }

    /// A PNG of [`size`](Self::size) times `scale`, on white, in the colours for light paper; its text is drawn with a
    /// font that is built in.
    ///
    /// # Errors
    ///
    /// [`PngError`]: a scale that gives no pixels, or too many.
    pub fn png(&self, scale: f32) -> Result<Vec<u8>, PngError> {
        let refused = PngError::Scale { width: self.width, height: self.height, scale };
        let (Some(width), Some(height)) = (pixels(self.width, scale), pixels(self.height, scale))
        else {
            return Err(refused);
        };
        let options = usvg::Options {
            font_family: FAMILY.to_owned(),
            fontdb: Arc::clone(&FONTS),
            ..usvg::Options::default()
        };
        let tree = usvg::Tree::from_str(&self.written(Some(INK), &[]), &options)
            .map_err(|error| PngError::Render(Box::new(error)))?;
        let mut pixmap = Pixmap::new(width, height).ok_or(refused)?;
        pixmap.fill(resvg::tiny_skia::Color::WHITE);
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixmap.as_mut());
        pixmap.encode_png().map_err(|error| PngError::Pack(Box::new(error)))
    }

    fn written(&self, ink: Option<&str>, styles: &[&str]) -> String {
        let mut xml = Xml::default();
        let (width, height) = (self.width.to_string(), self.height.to_string());
        let of_view = format!("0 0 {width} {height}");
        let mut attributes = vec![
            ("xmlns", "http://www.w3.org/2000/svg"),
            ("class", "plot"),
            ("viewBox", &of_view),
            ("width", &width),
            ("height", &height),
            ("role", "img"),
            ("aria-label", &self.title),
            ("font-family", "'DejaVu Sans', Verdana, sans-serif"),
        ];
        // A page gives its colour to what has none; a renderer has no page.
        attributes.extend(ink.map(|ink| ("color", ink)));
        xml.open("svg", &attributes);
        if !styles.is_empty() {
            xml.text("style", &[], &styles.concat());
        }
        xml.into_string() + &self.inside + "</svg>\n"
    }
}

/// As the file of the font calls it.
const FAMILY: &str = "DejaVu Sans";

/// Letters of Latin, Greek and Cyrillic, and the signs of units; see its LICENSE.
static FONT: &[u8] = include_bytes!("../fonts/DejaVuSans-subset.ttf");

/// The font, read once.
static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(FONT.to_vec());
    fonts.set_sans_serif_family(FAMILY);
    Arc::new(fonts)
});

fn pixels(side: u32, scale: f32) -> Option<u32> {
    let scaled = (f64::from(side) * f64::from(scale)).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 1 to MOST_PIXELS, which is checked here"
    )]
    (scaled >= 1.0 && scaled <= f64::from(Plot::MOST_PIXELS)).then_some(scaled as u32)
}
