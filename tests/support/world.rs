//! Made-up paths whose truth is known exactly, as capture files.
//!
//! A [`Scenario`] is made in three steps, each from what the one before gives:
//!
//! 1. the [`World`]: packets, routers, translation, losses; what happened to each packet and when,
//!    in true time, whoever looked;
//! 2. the [`Recorder`]s: when each point was recording, by which clock, what it dropped, cut,
//!    mirrored or overheard;
//! 3. the [`CaptureFile`]s: link types, formats, resolutions, byte orders.
//!
//! What is in a scenario beyond packets on a path is a set of [`Ingredients`]. The same seed and
//! the same ingredients give the same scenario on every machine. Nothing here knows how the code
//! under test decides anything; [`truth`] says what it could have known.

pub mod clock;
pub mod files;
pub mod ingredients;
pub mod points;
pub mod random;
pub mod traffic;
pub mod truth;

pub use clock::Clock;
pub use files::CaptureFile;
pub use ingredients::{Ingredient, Ingredients};
pub use points::{Record, Recorder, Shows, Watched};
pub use random::Random;
pub use traffic::{Packet, World};

/// A path, what happened on it, and what each point recorded of that.
#[derive(Debug)]
pub struct Scenario {
    pub seed: u64,
    pub ingredients: Ingredients,
    pub world: World,
    pub recorders: Vec<Recorder>,
    pub watched: Vec<Watched>,
    pub files: Vec<CaptureFile>,
}

impl Scenario {
    /// The scenario of a seed, with these ingredients or with those that the seed draws.
    pub fn new(seed: u64, ingredients: Option<Ingredients>) -> Self {
        // Each step has a sequence of its own, so that one more draw in a step leaves the others.
        let random = Random::new(seed);
        let ingredients = ingredients.unwrap_or_else(|| Ingredients::of_seed(seed));
        let world = World::new(&ingredients, &mut random.fork("world"));
        let mut of_points = random.fork("points");
        let recorders = Recorder::all(&world, &ingredients, &mut of_points);
        let watched: Vec<Watched> = recorders
            .iter()
            .enumerate()
            .map(|(point, recorder)| recorder.watch(point, &world, &mut of_points))
            .collect();
        let mut of_files = random.fork("files");
        let files = recorders
            .iter()
            .zip(&watched)
            .map(|(recorder, watched)| CaptureFile::new(recorder, watched, &mut of_files))
            .collect();
        Self {
            seed,
            ingredients,
            world,
            recorders,
            watched,
            files,
        }
    }
}
