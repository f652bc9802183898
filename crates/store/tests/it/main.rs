use store::*;
const USER: Aggregate<u64> = Aggregate::new(1, "user", Life::Kept);
const NAME: Guarded<(), String> = Guarded::new(1, "name", &USER, Size::Row);
struct Named;
impl Names for Named {
    async fn names(&self, rows: &Rows, text: &str) -> Result<bool, ReadError> {
        Ok(rows.get(&NAME, &()).await?.is_some_and(|r| r.value == text))
    }
}
const HANDLE: ClaimKind<u64, Named> = ClaimKind::new(2, "handle", USER, Named);
fn spawnable(f: impl Future + Send + 'static) {
    drop(f)
}
async fn set(s: &Store, id: u64, name: &str) -> Result<u32, UpdateError<ReadError>> {
    s.update(USER.of(&id), |v| async move {
        let old = v.get(&NAME, &()).await?;
        let mut c = Commit::on(&v);
        c.put(&NAME, &(), &name.to_owned());
        Ok((c, old.map_or(0, |o| o.value.len() as u32)))
    })
    .await
}
#[test]
fn sends() {
    fn go(s: Store) {
        let t = s.clone();
        let u = s.clone();
        spawnable(async move { set(&s, 1, "x").await });
        spawnable(async move { t.claim(&HANDLE, "bob").owner().await });
        spawnable(async move {
            let v = u.view(USER.of(&1)).await.unwrap();
            u.claim(&HANDLE, "bob").take(&v).await
        });
    }
    let _ = go;
}
