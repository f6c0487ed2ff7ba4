use super::*;
use krt_model::version::GpuNeed;
use proptest::prelude::*;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// GPUs named on the command line, without the library.
fn listed(count: usize) -> Arc<Gpus> {
    let devices = (0..count).map(|index| Device { id: index.to_string(), uuid: None, name: None }).collect();
    Arc::new(Gpus { devices, nvml: None, pool: Mutex::new(Pool::new(count)) })
}

fn gpu(count: u16, share: u16, need: GpuNeed) -> Gpu {
    Gpu { count, share, need }
}

fn visible(reservation: &Reservation, request: usize, workers: usize) -> Vec<Option<String>> {
    let of = |worker| reservation.variables(request, worker).into_iter().find(|(name, _)| name == VISIBLE[0]);
    (0..workers).map(|worker| of(worker).map(|(_, ids)| ids)).collect()
}

fn some(ids: &[&str]) -> Vec<Option<String>> {
    ids.iter().map(|ids| Some((*ids).to_owned())).collect()
}

#[test]
fn each_worker_has_its_own() {
    let (gpus, node) = (listed(4), name("model"));
    let request = Request { node: &node, gpu: gpu(2, 1, GpuNeed::Required), workers: 2 };
    let reservation = gpus.reserve(&[request]).unwrap();
    assert_eq!(visible(&reservation, 0, 2), some(&["0,1", "2,3"]));
    let variables = reservation.variables(0, 1);
    for (variable, value) in [("CUDA_VISIBLE_DEVICES", "2,3"), ("HIP_VISIBLE_DEVICES", "2,3"), ORDER] {
        assert!(variables.contains(&(variable.to_owned(), value.to_owned())), "{variables:?}");
    }
}

#[test]
fn shared_ones_spread_and_leave_whole_ones_to_others() {
    let (gpus, one, other) = (listed(3), name("one"), name("other"));
    let shared = Request { node: &one, gpu: gpu(1, 4, GpuNeed::Required), workers: 4 };
    let whole = Request { node: &other, gpu: gpu(1, 1, GpuNeed::Required), workers: 1 };
    let reservation = gpus.reserve(&[shared, whole]).unwrap();
    assert_eq!(visible(&reservation, 1, 1), some(&["0"]));
    assert_eq!(visible(&reservation, 0, 4), some(&["1", "2", "1", "2"]));
    assert_eq!(reservation.read(0).iter().map(|gpu| gpu.workers).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn too_few_are_an_error_that_counts() {
    let node = name("model");
    let wanted = |workers| Request { node: &node, gpu: gpu(1, 1, GpuNeed::Required), workers };
    let error = listed(0).reserve(&[wanted(2)]).unwrap_err();
    assert_eq!(
        error.1.to_string(),
        "it wants 1 GPU for each of 2 workers, and krt knows of no GPU on this machine"
    );
    let gpus = listed(2);
    let refusal = |workers| gpus.reserve(&[wanted(workers)]).unwrap_err().1.to_string();
    assert_eq!(refusal(3), "it wants 1 GPU for each of 3 workers, and there are 2 GPUs");
    let first = gpus.reserve(&[wanted(1)]).unwrap();
    assert_eq!(refusal(2), "it wants 1 GPU for each of 2 workers, and of 2 GPUs only 1 is free");
    let second = gpus.reserve(&[wanted(1)]).unwrap();
    assert_eq!(refusal(1), "it wants 1 GPU, and all are in use by other workers");
    drop((first, second));
    gpus.reserve(&[wanted(2)]).unwrap();
}

#[test]
fn packages_of_krt_v1_run_where_there_is_no_gpu() {
    let (node, v1) = (name("model"), gpu(1, 1, GpuNeed::RequiredIfAny));
    let request = |workers| Request { node: &node, gpu: v1, workers };
    let reservation = listed(0).reserve(&[request(1)]).unwrap();
    assert_eq!(visible(&reservation, 0, 1), [None], "the environment stays as it is");
    assert!(listed(1).reserve(&[request(2)]).is_err());
}

#[test]
fn optional_ones_go_to_some_workers_and_come_last() {
    let (gpus, one, other) = (listed(2), name("one"), name("other"));
    let optional = Request { node: &one, gpu: gpu(1, 1, GpuNeed::Optional), workers: 2 };
    let needed = Request { node: &other, gpu: gpu(1, 1, GpuNeed::Required), workers: 1 };
    let reservation = gpus.reserve(&[optional, needed]).unwrap();
    assert_eq!(visible(&reservation, 1, 1), some(&["0"]));
    assert_eq!(visible(&reservation, 0, 2), some(&["1", ""]), "the second sees none of the others'");
}

#[test]
fn choices() {
    let list = |ids: &[&str]| Ok(Choice::Listed(ids.iter().map(|id| (*id).to_owned()).collect()));
    let entry = |text: &str| Err(InvalidChoice::Entry(text.to_owned()));
    for (text, expected) in [
        ("all", Ok(Choice::All)),
        ("none", Ok(Choice::None)),
        ("0", list(&["0"])),
        ("0, 3", list(&["0", "3"])),
        ("GPU-5c1e,MIG-GPU-8b/1/0", list(&["GPU-5c1e", "MIG-GPU-8b/1/0"])),
        ("", entry("")),
        ("0,", entry("")),
        ("-1", entry("-1")),
        ("GPU-", entry("GPU-")),
        ("GPU-a b", entry("GPU-a b")),
        ("0,00", Err(InvalidChoice::Twice("0".to_owned()))),
        ("99999", entry("99999")),
    ] {
        assert_eq!(text.parse::<Choice>(), expected, "{text}");
    }
}

#[test]
fn the_variable_of_cuda_ends_at_its_first_invalid_entry() {
    for (text, expected) in [
        ("", &[] as &[&str]),
        ("-1", &[]),
        ("NoDevFiles", &[]),
        ("1,0", &["1", "0"]),
        ("0,-1,1", &["0"]),
        ("0,1,0,2", &["0", "1"]),
        ("GPU-5c1e", &["GPU-5c1e"]),
    ] {
        assert_eq!(choice::visible(text), expected, "{text}");
    }
}

#[test]
fn names_are_looked_up() {
    let device = |uuid: &str| Device {
        id: uuid.to_owned(),
        uuid: Some(uuid.to_owned()),
        name: Some("Tester 1".to_owned()),
    };
    let known = [device("GPU-aa"), device("GPU-bb")];
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    let found = named_devices(ids(&["1", "GPU-a"]), &known, true).unwrap();
    let found: Vec<_> = found.iter().map(|device| (&*device.id, device.uuid.as_deref().unwrap())).collect();
    assert_eq!(found, [("1", "GPU-bb"), ("GPU-a", "GPU-aa")]);
    let error = named_devices(ids(&["2"]), &known, true).unwrap_err();
    assert_eq!(error.to_string(), "this machine has no GPU `2`");
    assert_eq!(named_devices(ids(&["0", "2", "1"]), &known, false).unwrap().len(), 1);
}

fn requests() -> impl Strategy<Value = Vec<(Gpu, usize)>> {
    let need = prop_oneof![Just(GpuNeed::Required), Just(GpuNeed::RequiredIfAny), Just(GpuNeed::Optional)];
    let gpu = (1_u16..4, 1..=Gpu::MAX_SHARE, need).prop_map(|(count, share, need)| gpu(count, share, need));
    prop::collection::vec((gpu, 1_usize..6), 1..5)
}

proptest! {
    #[test]
    fn no_gpu_has_more_workers_than_each_of_them_allows(
        devices in 0_usize..6,
        versions in prop::collection::vec(requests(), 1..4),
    ) {
        let (gpus, node) = (listed(devices), name("model"));
        let mut held = Vec::new();
        for version in &versions {
            let requests: Vec<_> =
                version.iter().map(|&(gpu, workers)| Request { node: &node, gpu, workers }).collect();
            let before = gpus.lock().clone();
            match gpus.reserve(&requests) {
                Ok(reservation) => held.push((requests, reservation)),
                Err(_) => {
                    let after = gpus.lock().clone();
                    prop_assert_eq!((before.free, before.workers), (after.free, after.workers), "half a version");
                }
            }
        }
        let mut shares = vec![Vec::new(); devices];
        for (requests, reservation) in &held {
            for (request, workers) in requests.iter().zip(&reservation.workers) {
                prop_assert_eq!(workers.len(), request.workers);
                for worker in workers.iter().flatten() {
                    let is_without = worker.is_empty() && request.gpu.need == GpuNeed::Optional;
                    prop_assert!(is_without || worker.len() == usize::from(request.gpu.count));
                    prop_assert!(worker.windows(2).all(|pair| pair[0] < pair[1]), "one twice: {:?}", worker);
                    worker.iter().for_each(|&device| shares[device].push(request.gpu.share));
                }
            }
        }
        for shares in shares {
            for share in &shares {
                prop_assert!(shares.len() <= usize::from(*shares.iter().max().unwrap()), "{:?}", shares);
                prop_assert!(*share > 1 || shares.len() == 1, "a whole one is shared: {:?}", shares);
            }
        }
        drop(held);
        let pool = gpus.lock().clone();
        prop_assert!(pool.free.iter().all(|free| *free == WHOLE) && pool.workers.iter().all(|workers| *workers == 0));
    }
}
