//! smoke
use store::*;
const USER: Aggregate<u64> = Aggregate::new(1, "user", Life::Kept);
const NAME: Guarded<(), String> = Guarded::new(1, "name", &USER, Size::Row);
#[tokio::test]
async fn smoke() {
    let dir = tempfile::tempdir().unwrap();
    for place in [Place::Memory, Place::Folder(dir.path().join("x"))] {
        let s = Store::open(Options::new(place, "a.example".parse().unwrap())).unwrap();
        s.update(USER.of(&1), |v| async move {
            let mut c = Commit::on(&v);
            c.put(&NAME, &(), &"bob".to_owned());
            Ok::<_, ReadError>((c, ()))
        })
        .await
        .unwrap();
        let v = s.view(USER.of(&1)).await.unwrap();
        assert_eq!(v.get(&NAME, &()).await.unwrap().unwrap().value, "bob");
    }
}
