# shellcheck shell=bash
# What the scripts of SSD300 with MobileNet v2 share. Each defines `usage`.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$(dirname "$here")")
recipes=$root/models/research/object_detection/recipes
# shellcheck source-path=SCRIPTDIR source=../launch.sh
source "$root/examples/launch.sh"

settings() {
  cat <<'EOT'
Settings:
  FLAGS="--coco_root=/coco --batch_size=16"
                 more flags of the program, whose --help lists them; they win
  HOSTS=A:4,B:4  where processes run; localhost by default
  LAUNCHER=NAME  python, horovodrun or mpirun, in place of the one chosen here
  PYTHON=PATH    interpreter; by default that of the active environment, else of
                 .venv in the checkout, else of PATH
  DRY_RUN=1      print the commands and run nothing
EOT
}

wrong_arguments() {
  usage >&2
  exit 1
}

require_number() { # TEXT
  [[ $1 =~ ^[0-9]+$ ]] || wrong_arguments
}

require_dataset() { # TEXT
  [[ $1 =~ ^(coco|voc|other)$ ]] || wrong_arguments
}

# Sets `python`, and `program` to a command with its flags.
set_program() { # NAME FLAG ...
  local lines more=()
  python=$(find_python "$root")
  lines=$(xargs printf '%s\n' <<<"${FLAGS-}") ||
    fail 1 "FLAGS=$FLAGS: expected flags, with quotes that match"
  [[ -z $lines ]] || mapfile -t more <<<"$lines"
  program=("$python" -u "$recipes/$1.py" "${@:2}" "${more[@]}")
}

is_dry_run() {
  [[ -n ${DRY_RUN-} && $DRY_RUN != 0 ]]
}

show_command() { # WORD ...
  local line
  printf -v line '%q ' "$@"
  echo "${line% }"
}

# Makes the records, then trains in one process or several.
train() { # NUM_PROCESSES LOG_DIR [ONE_LOG_A_PROCESS]
  local num=$1 log=$2/log.txt is_split=${3-} dataset_command
  launcher_command "$num" "$python"
  # As one process, which shows no others their part.
  dataset_command=(
    "${program[@]}" --distribute=False --only_create_dataset=True
  )
  ((num == 1)) || [[ -z $is_split ]] || command+=("$here/one_process.sh" "$PWD")
  command+=("${program[@]}" "--model_dir=$2/ckpt_0")
  if is_dry_run; then
    show_command "${dataset_command[@]}"
    show_command "${command[@]}"
    return
  fi
  require_packages "$num" "$python"
  "${dataset_command[@]}"
  if ((num == 1)) || [[ -z $is_split ]]; then
    run_logged "$log" --append "${command[@]}"
  else
    echo "$num processes, whose output goes to LOG0/log.txt and so on"
    exec "${command[@]}"
  fi
}

# What run_eval.sh and run_eval_gpu.sh do.
evaluate_as() { # SCRIPT FLAG|"" ARGUMENT ...
  local script=$1 flags=()
  [[ -z $2 ]] || flags=("$2")
  shift 2
  usage() {
    cat <<EOT
usage: [SETTING=VALUE ...] bash $script DATASET CHECKPOINT_PATH DEVICE_ID
  DATASET          coco, voc or other
  CHECKPOINT_PATH  such as LOG0/ckpt_0/ssd-500_458.ckpt, or a folder for its
                   newest
  DEVICE_ID        number of the GPU, if there is one
Writes eval<DEVICE_ID>/log.txt and eval<DEVICE_ID>/predictions.json.
EOT
    settings
  }
  (($# == 3)) || wrong_arguments
  require_dataset "$1"
  require_number "$3"
  evaluate "$@" "${flags[@]}"
}

# Evaluates, with all output in eval<DEVICE_ID>.
evaluate() { # DATASET CHECKPOINT_PATH DEVICE_ID FLAG ...
  local output_dir=$PWD/eval$3
  [[ -e $2 || -e $2.index ]] ||
    fail 1 "CHECKPOINT_PATH=$2: there is no such checkpoint"
  set_program ssd300_mobilenet_v2_eval "--dataset=$1" "--checkpoint_path=$2" \
    "--device_id=$3" "--output_dir=$output_dir" "${@:4}"
  if is_dry_run; then
    show_command "${program[@]}"
    return
  fi
  require_packages 1 "$python"
  run_logged "$output_dir/log.txt" --overwrite "${program[@]}"
}
