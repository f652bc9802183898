//! What the disk itself can do.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;

/// How many appends of 4 KiB a second are on the disk one after another.
pub fn syncs(folder: &Path, lasts: Duration) -> Result<f64> {
    let path = folder.join("raw");
    let mut file = File::create(&path)?;
    let (mut done, began) = (0_u32, Instant::now());
    while began.elapsed() < lasts {
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
        done += 1;
    }
    let rate = f64::from(done) / began.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}
