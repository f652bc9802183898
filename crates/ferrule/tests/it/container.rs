//! The static program in a root that holds nothing but it, what the Dockerfile puts beside it, and the folder for data.
//! `./test container` builds and runs this; `FERRULE_TEST_IMAGE` names the folder that the Dockerfile makes the image of.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Instant,
};

use tempfile::TempDir;
use testkit::{
    World,
    http1::{Call, Place},
    process::{FederatorFolder, Folder, run as run_program, scratch, usage_of},
    recording::ServedComponents,
};

use crate::support::{SMALL_LIMITS, both_directions, run};

/// What every container runtime gives beside the image: the generator of random numbers.
const DEVICES: [&str; 2] = ["random", "urandom"];

/// A root of its own, in which the program runs. The folders of tests are mounted in it where they are outside, so that paths
/// mean the same.
struct Root {
    folder: TempDir,
}

impl Root {
    fn new() -> Self {
        let image = std::env::var_os("FERRULE_TEST_IMAGE").expect("run `./test container`");
        let root = Self { folder: TempDir::with_prefix("ferrule-root-").unwrap() };
        let copied = run_program(Path::new("cp"), ["-a", &format!("{}/.", Path::new(&image).display()), &root.at("")]);
        assert!(copied.unwrap().status.success());
        fs::create_dir_all(root.at(&scratch().display().to_string())).unwrap();
        fs::create_dir(root.at("dev")).unwrap();
        for device in DEVICES {
            fs::write(root.at(&format!("dev/{device}")), "").unwrap();
        }
        let mounts: String = DEVICES
            .iter()
            .map(|device| format!("mount --bind /dev/{device} {}/dev/{device} && ", root.at("")))
            .collect();
        let data = scratch().display();
        // One process from beginning to end, so that signals reach the program.
        let script = format!(
            "#!/bin/sh\nexec unshare -rm sh -c '{mounts}mount --bind {data} {root}{data} && chroot=$(command -v chroot || \
             echo /usr/sbin/chroot) && exec env -i TMPDIR=/tmp $(env | grep ^FERRULE_) \"$chroot\" {root} /ferrule \"$@\"' sh \"$@\"\n",
            root = root.at("")
        );
        fs::write(root.program(), script).unwrap();
        fs::set_permissions(root.program(), fs::Permissions::from_mode(0o755)).unwrap();
        root
    }

    fn at(&self, name: &str) -> String {
        format!("{}/{}", self.folder.path().display(), name.trim_start_matches('/')).trim_end_matches('/').to_owned()
    }

    /// What runs the program in it: outside of it.
    fn program(&self) -> PathBuf {
        self.folder.path().with_extension("sh")
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.program());
    }
}

#[test]
#[ignore = "wants a static program: ./test container"]
fn two_backends_in_empty_roots_find_each_other() {
    run(async {
        let (one, two) = (Root::new(), Root::new());
        let mut found: Vec<String> =
            fs::read_dir(one.at("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        found.sort();
        assert_eq!(found, ["dev", "etc", "ferrule", "tmp", "var"], "no library, no shell");
        assert!(run_program(Path::new("chroot"), [&one.at(""), "/bin/sh"]).is_ok_and(|ended| !ended.status.success()));

        let world = World::new().await.unwrap();
        // The one trusts a file, the other the CAs of the image, where this network's own stands here.
        fs::write(two.at("etc/ssl/certs/ca-certificates.crt"), world.certificates().root_pem()).unwrap();
        let [first, second] = [(&one, "a.example"), (&two, "b.example")]
            .map(|(root, domain)| Folder::init(&root.program(), &world, domain, SMALL_LIMITS).unwrap());
        for folder in [&first, &second] {
            let config = fs::read_to_string(folder.config()).unwrap().replace("allowDynamic", "allowAll");
            let config = match folder.domain().as_str() {
                "b.example" => config.replace("ca = [\"federation-ca.pem\"]", "system_ca = true"),
                _ => config,
            };
            fs::write(folder.config(), config).unwrap();
        }
        let before = Instant::now();
        let served = [first.serve().unwrap(), second.serve().unwrap()];
        let took = before.elapsed() / 2;
        for (folder, served) in [&first, &second].into_iter().zip(&served) {
            let backend = served.backend();
            world.publish(&backend.domain, &backend.infra, backend.federation);
            let program = fs::read_link(format!("/proc/{}/exe", served.pid())).unwrap();
            assert!(program.ends_with("ferrule"), "{}", program.display());
            let mapped = fs::read_to_string(format!("/proc/{}/maps", served.pid())).unwrap();
            assert!(!mapped.contains(".so"), "nothing is loaded beside it:\n{mapped}");
            // As the health check of the image asks.
            let status = folder.command(&["status"]).unwrap();
            assert!(status.status.success() && status.stdout == "serving\n", "{status:?}");
        }
        both_directions(&served[0], &served[1]).await;
        let memory = served.each_ref().map(|served| usage_of(served.pid()).unwrap().memory / 1024 / 1024);
        println!("started in {} ms each; {memory:?} MiB resident after a search", took.as_millis());
        for served in served {
            served.stop().unwrap();
        }
    });
}

#[test]
#[ignore = "wants a static program: ./test container"]
fn names_of_components_are_looked_up_without_the_systems_libraries() {
    run(async {
        let root = Root::new();
        let world = World::new().await.unwrap();
        let components = ServedComponents::start().await.unwrap();
        // As a runtime writes it; there is no nsswitch.conf, and no library for it.
        fs::write(root.at("etc/hosts"), "127.0.0.1 brig\n").unwrap();
        let folder = FederatorFolder::new(&root.program(), &world, &world.domain("named")).unwrap();
        let port = components.brig.port();
        let text = format!(
            "dns = '{}'\n[outward]\nlisten = '127.0.0.1:0'\n[inward.behind_proxy]\nlisten = '127.0.0.1:0'\nproxies = \
             ['127.0.0.1']\n[components]\nbrig = 'brig:{port}'\n[tls]\ncertificate = 'leaf.pem'\nkey = 'leaf-key.pem'\nca = \
             ['ca.pem']\n",
            world.dns().address()
        );
        components.be(folder.domain().as_str());
        let federated = folder.run(&folder.write("federator.toml", &text).unwrap(), &[]).unwrap();
        Call::get(&Place::Tcp(federated.outward), "/i/status").send().await.unwrap().expect_status(200);
        assert!(federated.log().contains(folder.domain().as_str()), "brig was asked by its name: {}", federated.log());
        federated.stop().unwrap();
    });
}

/// What an instruction of the Dockerfile says, continued lines in one.
fn instructions() -> Vec<(String, String)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/container/Dockerfile");
    let text = fs::read_to_string(file).unwrap().replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()))
        .collect()
}

#[test]
#[ignore = "wants a static program: ./test container"]
fn the_dockerfile_makes_that_image() {
    let all = instructions();
    let of =
        |name: &str| all.iter().filter(|(found, _)| found == name).map(|(_, rest)| rest.as_str()).collect::<Vec<_>>();
    assert_eq!(of("FROM").last(), Some(&"scratch"));
    assert_eq!(of("COPY").last(), Some(&"--from=build /image/ /"));
    assert_eq!(of("RUN")[0], "deploy/container/build release /image", "what the stage ran with another profile");
    let user = of("USER")[0];
    assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "numbers, and not root: {user}");
    // What it starts and asks exists in that root.
    let root = Root::new();
    let exec = |text: &str| serde_json::from_str::<Vec<String>>(text).expect("in the form of JSON: there is no shell");
    assert_eq!(exec(of("ENTRYPOINT")[0]), ["/ferrule"]);
    let health = exec(of("HEALTHCHECK")[0].split_once("CMD ").unwrap().1);
    assert_eq!(health[0], "/ferrule");
    for arguments in [exec(of("CMD")[0]), health[1..].to_vec()] {
        let help = arguments.iter().map(String::as_str).chain(["--help"]);
        let ended = run_program(&root.program(), help).unwrap();
        assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
    }
    let known =
        ["FROM", "WORKDIR", "COPY", "RUN", "USER", "ENV", "VOLUME", "EXPOSE", "ENTRYPOINT", "CMD", "HEALTHCHECK"];
    for (name, _) in &all {
        assert!(known.contains(&name.as_str()), "{name}");
    }
    let folder = Path::new(&root.at("")).join(of("VOLUME")[0].trim_start_matches('/'));
    assert!(folder.is_dir(), "{}", folder.display());
}
